"""Measure a map: a grid of settings, and the phase diagram of what came of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from limitpoint.commands._screen import claims_table, console, progress
from limitpoint.errors import UsageError
from limitpoint.sweeps import MAPS, Rows, Workers, sweep


def run(args: argparse.Namespace) -> int:
    """Measure what is missing, and draw."""
    if args.name is None:
        return _list()
    chosen = MAPS[args.name]
    axes = dict(args.axis)
    if len(axes) < len(args.axis):
        raise UsageError("an axis is given twice: give it once")
    grid = chosen.grid(axes)
    path = args.out or Path("reports/latest/sweeps") / f"{chosen.name}.csv"
    rows = Rows(chosen, path)
    with progress(hidden=False) as bar:
        task = bar.add_task(chosen.name, total=len(rows.missing(grid)))
        sweep(
            rows, grid, Workers(args.jobs, args.cluster), batch=args.batch,
            watch=lambda done, planned: bar.update(task, completed=done, total=planned),
        )  # fmt: skip
    frame = rows.frame(grid)
    print(f"{len(frame)} rows: {path}")
    if args.figure is not None:
        args.figure.parent.mkdir(parents=True, exist_ok=True)
        chosen.draw(frame).savefig(args.figure, dpi=150)
        print(f"figure: {args.figure}", file=sys.stderr)
    return 0


def _list() -> int:
    table = claims_table(f"{len(MAPS)} maps", "name")
    for column in ("title", "axes"):
        table.add_column(column, overflow="fold")
    for found in MAPS.values():
        axes = (f"{name}={v[0]:.3g}...{v[-1]:.3g} ({len(v)})" for name, v in found.axes.items())
        table.add_row(found.name, found.title, "\n".join(axes))
    console().print(table)
    return 0
