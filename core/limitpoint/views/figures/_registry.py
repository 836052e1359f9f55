"""Registering figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from matplotlib.figure import Figure

from limitpoint.judgement.evaluate import single_thread

Draw = Callable[..., Figure]


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn.

    Args:
        name: stable, "paper-short-name".
        title: what it shows, in one line.
        source: paper and figure number.
        draw: the function; every argument has a default.
    """

    name: str
    title: str
    source: str
    draw: Draw

    def __call__(self, **options: Any) -> Figure:
        """Draw it, on one thread, as claims run."""
        with single_thread():
            return self.draw(**options)


_FIGURES: dict[str, Drawing] = {}
FIGURES: Mapping[str, Drawing] = MappingProxyType(_FIGURES)


def figure(name: str, title: str, source: str) -> Callable[[Draw], Draw]:
    """Register a function that draws a figure."""

    def register(draw: Draw) -> Draw:
        if name in _FIGURES:
            raise ValueError(f"figure {name!r} is registered twice")
        _FIGURES[name] = Drawing(name, title, source, draw)
        return draw

    return register
