"""From a ledger to one self-contained HTML page: no scripts, no files beside it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from latex2mathml.converter import convert
from markupsafe import Markup

from limitpoint.ledger import Ledger, papers
from limitpoint.summary import tightest

Record = dict[str, Any]
#: Worst first: what a claim is called when its seeds disagree.
SEVERITY = ("refuted", "inconclusive", "not-applicable", "supported")
TITLES = {
    "usam": "Implicit Bias of Different Optimizers",
    "sam": "Towards Understanding Sharpness-Aware Minimization",
    "minor-first": "Minor First, Major Last",
    "multiclass": "Implicit Bias of SignGD and Adam on Multiclass Separable Data",
}


@dataclass(frozen=True)
class ClaimRow:
    """One claim on the page: its worst verdict, and the run that came closest to failing."""

    id: str
    verdict: str
    runs: int
    counts: dict[str, int]
    record: Record
    slack: float | None
    seconds: float


def claim_rows(records: Sequence[Record]) -> list[ClaimRow]:
    """The records grouped by claim id, in order of appearance."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record["id"], []).append(record)
    return [_row(claim_id, group) for claim_id, group in groups.items()]


def _row(claim_id: str, group: list[Record]) -> ClaimRow:
    def rank(record: Record) -> tuple[int, float]:
        return SEVERITY.index(record["verdict"]), _slack(record)

    shown = min(group, key=rank)
    counts = Counter(record["verdict"] for record in group)
    closest = tightest(shown)
    return ClaimRow(
        claim_id,
        shown["verdict"],
        len(group),
        {verdict: counts[verdict] for verdict in SEVERITY if counts[verdict]},
        shown,
        closest["slack"] if closest else None,
        sum(record["seconds"] for record in group),
    )


def _slack(record: Record) -> float:
    closest = tightest(record)
    return float("inf") if closest is None else float(closest["slack"])


def mathematics(text: str) -> Markup:
    """Text with LaTeX between dollar signs, as HTML with MathML."""
    parts = re.split(r"\$([^$]+)\$", text)
    return Markup("").join(
        Markup(convert(part)) if index % 2 else Markup(escape(part))
        for index, part in enumerate(parts)
    )


def number(value: float | None) -> str:
    """Six significant digits; a dash where JSON had no number."""
    return "–" if value is None else f"{value:.6g}"


def by_paper(rows: Iterable[ClaimRow]) -> dict[str, list[ClaimRow]]:
    """The rows of each paper, in order of appearance."""
    groups: dict[str, list[ClaimRow]] = {}
    for row in rows:
        groups.setdefault(row.id.partition("/")[0], []).append(row)
    return groups


def render(ledger: Ledger) -> str:
    """The page as text."""
    pages = Environment(
        loader=PackageLoader("limitpoint.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"mathematics": mathematics, "number": number}
    rows = claim_rows(ledger.claims)
    return pages.get_template("page.html.jinja").render(
        papers=by_paper(rows),
        titles=TITLES,
        claims=len(rows),
        runs=len(ledger.claims),
        counts=Counter(row.verdict for row in rows),
        seconds=sum(row.seconds for row in rows),
        errata=[row for row in rows if row.record["kind"] == "erratum"],
        suite=ledger.suite,
        environment=ledger.environment,
        order=papers(ledger.claims),
    )


def write_report(ledger: Ledger, out: Path) -> None:
    """Write the page."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(render(ledger), encoding="utf-8")
