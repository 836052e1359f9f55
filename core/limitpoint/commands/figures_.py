"""Draw the figures of the papers into a folder."""

from __future__ import annotations

import argparse

from rich.progress import Progress

from limitpoint.commands._screen import claims_table, console
from limitpoint.views.figures import FIGURES


def run(args: argparse.Namespace) -> int:
    """Draw, and say where each figure is."""
    names = [name for name in FIGURES if name.startswith(tuple(args.name or [""]))]
    if args.list:
        table = claims_table(f"{len(names)} figures", "name")
        for column in ("title", "source"):
            table.add_column(column, overflow="fold")
        for name in names:
            table.add_row(name, FIGURES[name].title, FIGURES[name].source)
        console().print(table)
        return 0
    args.out.mkdir(parents=True, exist_ok=True)
    with Progress(transient=True) as bar:
        task = bar.add_task("figures", total=len(names))
        for name in names:
            bar.update(task, description=name)
            path = args.out / f"{name.replace('/', '-')}.{args.format}"
            FIGURES[name]().savefig(path, dpi=150, bbox_inches="tight")
            bar.console.print(f"{name}: {path}", highlight=False, soft_wrap=True)
            bar.advance(task)
    return 0
