"""Docstrings are prose with code in backticks: what reStructuredText would make of the rest."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx


def _plain(line: str) -> str:
    """The line with its marks of reStructuredText escaped, but for what stands in backticks."""
    parts = re.split(r"(``.*?``|`[^`]*`)", line)
    return "".join(
        part if index % 2 else re.sub(r"([*|\\]|_(?=\W|$))", r"\\\1", part)
        for index, part in enumerate(parts)
    )


def _escape(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Runs before napoleon, which then finds the sections."""
    verbatim = False
    for index, line in enumerate(lines):
        if line.strip() and not line.startswith("    "):
            verbatim = line.endswith("::")
        if not verbatim:
            lines[index] = _plain(line)


def setup(app: Sphinx) -> dict[str, Any]:
    """Listen."""
    app.connect("autodoc-process-docstring", _escape, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
