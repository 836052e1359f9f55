"""From a ledger to one self-contained HTML page: no scripts, no files beside it."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from html import escape, unescape
from pathlib import Path
from xml.etree.ElementTree import tostring

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from latex2mathml.converter import convert_to_element
from markupsafe import Markup

from limitpoint.judgement.erratum import BASES, FAULTS, SURENESS
from limitpoint.ledger.document import Ledger
from limitpoint.ledger.files import write_text
from limitpoint.rivals.matrix import Matrix
from limitpoint.views.curves import drawn, svg
from limitpoint.views.report._claims import SEVERITY, by_paper, by_subject, claim_rows
from limitpoint.views.report._figures import Picture, of_papers, read_figures
from limitpoint.views.report._kills import kill_tables

#: Attributes of MathML that draw and do nothing else.
DRAWN = frozenset({
    "display", "mathvariant", "stretchy", "fence", "separator", "form", "lspace", "rspace",
    "minsize", "maxsize", "movablelimits", "accent", "accentunder", "linethickness", "rowspacing",
    "columnspacing", "columnalign", "rowlines", "columnlines", "width", "height", "depth",
    "voffset", "scriptlevel", "displaystyle", "mathsize", "mathcolor", "mathbackground", "notation",
})  # fmt: skip


def mathematics(text: str) -> Markup:
    """Text with LaTeX between dollar signs, as HTML with MathML."""
    parts = re.split(r"\$([^$]+)\$", text)
    return Markup("").join(
        _formula(part) if index % 2 else Markup(escape(part)) for index, part in enumerate(parts)
    )


def _formula(latex: str) -> Markup:
    """MathML, or the LaTeX itself where it is none."""
    try:
        tree = convert_to_element(latex)
    except Exception:  # whatever a stranger's formula makes of the converter
        return Markup(f"<code>{escape(latex)}</code>")
    for node in tree.iter():
        # The converter writes references to characters, and escapes nothing.
        node.text = unescape(node.text) if node.text else node.text
        node.attrib = {name: value for name, value in node.attrib.items() if name in DRAWN}
    tree.set("alttext", latex)
    return Markup(tostring(tree, encoding="unicode"))


def number(value: float | None, digits: int = 6) -> str:
    """Significant digits; a dash where JSON had no number."""
    return "–" if value is None else f"{value:.{digits}g}"


def _pages() -> Environment:
    pages = Environment(
        loader=PackageLoader("limitpoint.views.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"mathematics": mathematics, "number": number, "drawn": drawn, "svg": svg}
    pages.globals |= {
        "severity": SEVERITY,
        "bases": BASES, "sureness": SURENESS, "faults": FAULTS,
    }  # fmt: skip
    return pages


def render(
    ledger: Ledger,
    *,
    matrix: Matrix | None = None,
    pictures: Sequence[Picture] = (),
    dashboard: str | None = None,
) -> str:
    """The page as text.

    Args:
        ledger: the records.
        matrix: the kill matrix, if it is to be shown.
        pictures: figures, each shown with its paper.
        dashboard: where the page links to for the speed of the kernels.
    """
    rows = claim_rows(ledger.claims)
    roles = dict.fromkeys(role for row in rows for role in row.record.roles)
    return _pages().get_template("page.html.jinja").render(
        papers=by_paper(rows),
        rows=rows,
        claims=len({row.id for row in rows}),
        subjects=by_subject(rows),
        # What a ledger says is text: the page's own names for it are numbers.
        roles={role: f"role-{k}" for k, role in enumerate(roles)},
        runs=len(ledger.claims),
        counts=Counter(row.verdict for row in rows),
        failed=[row for row in rows if row.verdict.fails],
        errata=[row for row in rows if row.record.kind == "erratum"],
        matrix=matrix,
        kills=kill_tables(matrix) if matrix else [],
        pictures=of_papers(pictures),
        dashboard=dashboard,
        suite=ledger.suite,
        environment=msgspec.to_builtins(ledger.environment),
    )  # fmt: skip


def write_report(
    ledger: Ledger,
    out: Path,
    *,
    mutants: Path | None = None,
    figures: Path | None = None,
    asv: Path | None = None,
) -> None:
    """Write the page.

    Args:
        ledger: the records.
        out: the file.
        mutants: the kill matrix of `limitpoint mutants --json`.
        figures: the folder of `limitpoint figures`.
        asv: the folder of asv's dashboard, which holds an index.html.

    Raises:
        UsageError: one of them cannot be read.
    """
    page = render(
        ledger,
        matrix=Matrix.read(mutants) if mutants else None,
        pictures=read_figures(figures) if figures else (),
        dashboard=os.path.relpath(asv / "index.html", out.parent) if asv else None,
    )
    write_text(page, out)
