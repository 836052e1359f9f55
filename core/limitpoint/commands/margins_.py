"""Margin over its certified optimum by optimizer and norm: each is nearest to it in its own."""

from __future__ import annotations

import argparse

from rich.table import Table
from rich.text import Text

from limitpoint.commands._screen import console, print_json
from limitpoint.views.tables.margins import contenders, data, margins


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    frame = margins(args.steps, args.seed)
    if args.json:
        print_json(frame.rename_axis("optimizer").reset_index().to_dict("records"))
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
