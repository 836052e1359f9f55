"""What a person sees at the end of a run: verdicts by paper, the least slack, what to paste."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from rich import box
from rich.console import Console
from rich.table import Table

from limitpoint.judgement.record import Record, papers
from limitpoint.judgement.verdict import Verdict
from limitpoint.ledger.expected import count_excused


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


def verdict_table(records: Sequence[Record]) -> Table:
    """Rows: papers. Columns: claims, runs, verdicts that there are, least slack, seconds."""
    there = [verdict for verdict in Verdict if any(r.verdict is verdict for r in records)]
    table = Table(title="limitpoint: claims by paper", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("paper", no_wrap=True)
    for column in ("claims", "runs"):
        table.add_column(column, justify="right")
    for verdict in there:
        table.add_column(verdict, justify="right", style=verdict.colour)
    for column in ("least slack", "seconds"):
        table.add_column(column, justify="right")
    for paper in papers(records):
        rows = [r for r in records if r.paper == paper]
        counts = Counter(r.verdict for r in rows)
        closest = _closest(rows)
        table.add_row(
            paper,
            str(len({r.id for r in rows})),
            str(len(rows)),
            *(str(counts[verdict] or "") for verdict in there),
            f"{closest.room:.3f}" if closest else "",
            f"{sum(r.seconds for r in rows):.1f}",
        )
    return table


def _closest(records: Sequence[Record]) -> Record | None:
    """The supported record with the least slack."""
    held = [r for r in records if r.verdict is Verdict.SUPPORTED and r.tightest]
    return min(held, key=lambda r: r.room, default=None)


def write_summary(
    terminal: pytest.TerminalReporter, records: Sequence[Record], failures: Sequence[Record]
) -> None:
    """Print the table and, for each claim that fails the run, the reason and a command to paste."""
    colour = bool(getattr(terminal._tw, "hasmarkup", False))
    console = Console(
        file=sys.stdout, width=terminal._tw.fullwidth, force_terminal=colour, no_color=not colour
    )
    terminal.ensure_newline()
    terminal.flush()
    console.print(verdict_table(records))
    closest = _closest(records)
    if closest and closest.tightest:
        text = f"least slack: {closest.room:.3g}, {closest.id}: {closest.tightest.quantity}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    for record in failures:
        console.print(f"{record.verdict.coloured} {record.id} (seed {record.seed}): ",
                      end="", soft_wrap=True)  # fmt: skip
        console.print(record.reason, markup=False, highlight=False, soft_wrap=True)
        console.print(f"    {record.reproduce}", markup=False, highlight=False, soft_wrap=True)
    excused = count_excused(records, failures)
    if excused:
        console.print(excused, highlight=False)
    console.file.flush()
