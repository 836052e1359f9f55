"""Drawn figures, embedded in the page."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from limitpoint.errors import UsageError
from limitpoint.judgement.registry import titles
from limitpoint.views.figures import FIGURES

KINDS = {".png": "image/png", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Picture:
    """A figure on the page.

    Args:
        name: of the file, without its ending.
        title: what it shows.
        source: paper and figure number.
        uri: the picture itself, as a data URI.
    """

    name: str
    title: str
    source: str
    uri: str


def read_figures(folder: Path) -> list[Picture]:
    """The figures that `limitpoint figures` drew into a folder, as PNG or SVG.

    Raises:
        UsageError: no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"figures {folder}: no such folder (limitpoint figures --out {folder})")
    found = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in KINDS}
    return [
        Picture(name, FIGURES[name].title, FIGURES[name].source, _embedded(found[name]))
        for name in FIGURES
        if name in found
    ]


def of_papers(pictures: Iterable[Picture]) -> Mapping[str, list[Picture]]:
    """The pictures of each paper: a figure's name starts with its paper's."""
    found: dict[str, list[Picture]] = {paper: [] for paper in titles()}
    for picture in pictures:
        found[next(filter(picture.name.startswith, titles()))].append(picture)
    return found


def _embedded(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f"data:{KINDS[path.suffix]};base64,{data}"
