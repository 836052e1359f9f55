"""What a person sees at the end of a run: verdicts by paper, the tightest slack, what to paste."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from limitpoint.ledger import papers
from limitpoint.ledger.expected import count_excused

COLOURS = {
    "supported": "green",
    "refuted": "red",
    "inconclusive": "yellow",
    "not-applicable": "cyan",
}
Record = dict[str, Any]


class Progress:
    """How far a long run has come, and an estimate of the rest: a line a minute at most.

    Args:
        name: of what runs.
        write: takes a line.
    """

    INTERVAL = 60.0

    def __init__(self, name: str, write: Callable[[str], object]) -> None:
        self.name, self.write = name, write
        self.first = (math.inf, 0.0)
        self.told = time.monotonic()

    def __call__(self, step: int, steps: int) -> None:
        """After so many of all the steps."""
        now = time.monotonic()
        if step < self.first[0]:  # another run of the same claim, or the first
            self.first = (step, now)
        if now - self.told < self.INTERVAL or step == self.first[0]:
            return
        left = (now - self.first[1]) / (step - self.first[0]) * (steps - step)
        self.write(f"{self.name}: step {step} of {steps}, {timedelta(seconds=round(left))} left")
        self.told = now


def tightest(record: Record) -> dict[str, Any] | None:
    """The comparison with the least slack of a ledger's record.

    A slack of None is the least of all: minus infinity, which JSON lacks.
    """
    return min(record["evidence"], key=slack_of, default=None)


def slack_of(evidence: dict[str, Any]) -> float:
    """The slack of a comparison in a ledger."""
    return -math.inf if evidence["slack"] is None else float(evidence["slack"])


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
    found = [(slack_of(e), r["id"]) for r in records if (e := tightest(r)) is not None]
    if not found:
        return ""
    slack, claim_id = min(found)
    return f"{slack:.3f} {claim_id.partition('/')[2]}"


def write_summary(
    terminal: pytest.TerminalReporter, records: Sequence[Record], failures: Sequence[Record]
) -> None:
    """Print the table and, for each claim that fails the run, the reason and a command to paste."""
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
    for record in failures:
        console.print(
            f"[{COLOURS[record['verdict']]}]{record['verdict']}[/] {record['id']} "
            f"(seed {record['seed']}): ",
            end="",
        )
        console.print(record["reason"], markup=False, highlight=False)
        console.print(f"    {record['reproduce']}", markup=False, highlight=False, soft_wrap=True)
    excused = count_excused(records, failures)
    if excused:
        console.print(excused, highlight=False)
    console.file.flush()
