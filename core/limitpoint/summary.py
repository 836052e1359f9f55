"""What a person sees at the end of a run: verdicts by paper, the tightest slack, what to paste."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from limitpoint.ledger import papers

COLOURS = {
    "supported": "green",
    "refuted": "red",
    "inconclusive": "yellow",
    "not-applicable": "cyan",
}
Record = dict[str, Any]


def tightest(record: Record) -> dict[str, Any] | None:
    """The comparison with the least slack of a ledger's record."""
    known = [e for e in record["evidence"] if e["slack"] is not None]
    return min(known, key=lambda e: e["slack"], default=None)


def verdict_table(records: Sequence[Record]) -> Table:
    """Rows: papers. Columns: claims, runs, verdicts, and the tightest comparison that held."""
    table = Table(title="limitpoint: claims by paper", title_justify="left")
    table.add_column("paper")
    table.add_column("claims", justify="right")
    table.add_column("runs", justify="right")
    for verdict, colour in COLOURS.items():
        table.add_column(verdict, justify="right", style=colour)
    table.add_column("least slack", justify="right")
    table.add_column("seconds", justify="right")
    for paper in papers(records):
        rows = [r for r in records if r["id"].partition("/")[0] == paper]
        counts = Counter(r["verdict"] for r in rows)
        table.add_row(
            paper,
            str(len({r["id"] for r in rows})),
            str(len(rows)),
            *(str(counts[v]) if counts[v] else "" for v in COLOURS),
            _least([r for r in rows if r["verdict"] == "supported"]),
            f"{sum(r['seconds'] for r in rows):.1f}",
        )
    return table


def _least(records: Sequence[Record]) -> str:
    found = [(e["slack"], r["id"]) for r in records if (e := tightest(r)) is not None]
    if not found:
        return ""
    slack, claim_id = min(found)
    return f"{slack:.3f} {claim_id.partition('/')[2]}"


def write_summary(terminal: pytest.TerminalReporter, records: Sequence[Record]) -> None:
    """Print the table and, for each claim that failed, the reason and a command to paste."""
    colour = bool(getattr(terminal._tw, "hasmarkup", False))
    console = Console(
        file=sys.stdout,
        width=max(110, terminal._tw.fullwidth),
        force_terminal=colour,
        no_color=not colour,
    )
    terminal.ensure_newline()
    terminal.flush()
    console.print(verdict_table(records))
    for record in records:
        if record["verdict"] in ("refuted", "inconclusive"):
            console.print(
                f"[{COLOURS[record['verdict']]}]{record['verdict']}[/] {record['id']} "
                f"(seed {record['seed']}): ",
                end="",
            )
            console.print(record["reason"], markup=False, highlight=False)
            console.print(
                f"    {record['reproduce']}", markup=False, highlight=False, soft_wrap=True
            )
    console.file.flush()
