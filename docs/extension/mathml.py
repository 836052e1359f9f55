"""Formulas as MathML, which browsers draw themselves: no script, no font to load."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from limitpoint.views.report import mathematics


def _inline(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(mathematics(f"${node.astext()}$"))
    raise nodes.SkipNode


def _display(self: HTML5Translator, node: nodes.math_block) -> None:
    formula = mathematics(f"${node.astext()}$").replace('display="inline"', 'display="block"', 1)
    self.body.append(f'<div class="formula" tabindex="0">{formula}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
