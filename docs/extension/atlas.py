"""The page of the atlas, made of its rows and of what reproduces the faults."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from limitpoint.atlas import Atlas, Row

PRINTS = "# prints: "


class Reproduction(NamedTuple):
    """A script without limitpoint.

    Args:
        title, text: its docstring's first paragraph, and the rest.
        code: the rest of it.
        printed: what it prints.
    """

    title: str
    text: str
    code: str
    printed: str


def reproductions(folder: Path) -> Iterator[Reproduction]:
    """Those of a folder."""
    for file in sorted(folder.glob("*.py")):
        text = file.read_text(encoding="utf-8")
        title, _, more = (ast.get_docstring(ast.parse(text)) or "").partition("\n\n")
        code, _, printed = text.split('"""', 2)[2].partition(PRINTS)
        yield Reproduction(" ".join(title.split()), more, code.strip(), printed.strip())


def page(data: Path, folder: Path) -> dict[str, object]:
    """What the template shows."""
    rows = list(Atlas(data).rows.values())
    modules: dict[str, list[Row]] = {}
    for row in rows:
        modules.setdefault(row.module, []).append(row)
    laws: dict[str, list[str]] = {}
    for row in rows:
        for law in row.broken:
            laws.setdefault(law, []).append(row.target)
    ordered = dict(sorted(laws.items(), key=lambda item: -len(item[1])))
    return {
        "rows": rows, "judged": [row for row in rows if row.laws], "modules": modules,
        "laws": ordered, "reproductions": list(reproductions(folder)),
    }  # fmt: skip
