"""Margin over its certified optimum by optimizer and norm: each is nearest to it in its own."""

from __future__ import annotations

import argparse

from rich.table import Table
from rich.text import Text

from limitpoint.commands._options import add_json, console, positive_integer, print_json
from limitpoint.views.tables.margins import contenders, data, margins

HELP = "print which margin each optimizer maximises, by norm"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `limitpoint margins`."""
    parser.add_argument("--steps", type=positive_integer, default=10_000, metavar="N",
                        help="of each run (default 10000)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=42, help="of the clusters (default 42)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    frame = margins(args.steps, args.seed)
    if args.json:
        print_json([{"optimizer": name} | dict(row) for name, row in frame.iterrows()])
        return 0
    table = Table(
        title=f"Margin over the largest one in each norm, after {args.steps} steps",
        title_justify="left",
        caption="Bold: the norm whose margin theory says the optimizer maximises.",
        caption_justify="left",
    )
    table.add_column("optimizer")
    for norm in frame.columns:
        table.add_column(norm, justify="right")
    for name, (_, own) in contenders(data(args.seed)).items():
        cells = [
            Text(f"{share:.3f}", "bold green" if norm == own else "")
            for norm, share in frame.loc[name].items()
        ]
        table.add_row(name, *cells)
    console().print(table)
    return 0
