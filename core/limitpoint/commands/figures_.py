"""Draw the figures of the papers into a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.progress import Progress, TimeRemainingColumn
from rich.table import Table

from limitpoint.commands._options import console
from limitpoint.errors import UsageError
from limitpoint.views.figures import FIGURES

HELP = "draw the figures of the papers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `limitpoint figures`."""
    parser.add_argument("name", nargs="*", help="names, or how they begin (default: all)")
    parser.add_argument("--out", type=Path, default=Path("reports/latest/figures"),
                        help="folder (default reports/latest/figures)")  # fmt: skip
    parser.add_argument("--format", default="png", choices=("png", "svg", "pdf"))
    parser.add_argument("--list", action="store_true", help="list them instead of drawing")


def run(args: argparse.Namespace) -> int:
    """Draw, and say where each figure is."""
    for begin in args.name:
        if not any(name.startswith(begin) for name in FIGURES):
            raise UsageError(f"no figure is called {begin!r} (limitpoint figures --list)")
    names = [name for name in FIGURES if name.startswith(tuple(args.name or [""]))]
    if args.list:
        table = Table(title=f"{len(names)} figures", title_justify="left")
        for column in ("name", "title", "source"):
            table.add_column(column, overflow="fold")
        for name in names:
            table.add_row(name, FIGURES[name].title, FIGURES[name].source)
        console().print(table)
        return 0
    args.out.mkdir(parents=True, exist_ok=True)
    columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("figures", total=len(names))
        for name in names:
            bar.update(task, description=name)
            path = args.out / f"{name.replace('/', '-')}.{args.format}"
            FIGURES[name]().savefig(path, dpi=150, bbox_inches="tight")
            bar.console.print(f"{name}: {path}", highlight=False, soft_wrap=True)
            bar.advance(task)
    return 0
