"""Write the report page of a ledger: one self-contained HTML file, readable without scripts."""

from __future__ import annotations

import argparse
from pathlib import Path

from limitpoint.ledger import Ledger
from limitpoint.report import write_report

HELP = "write the report page of a ledger"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `limitpoint report`."""
    parser.add_argument("ledger", type=Path, help="a ledger written by pytest --ledger")
    parser.add_argument("--out", type=Path, default=None, help="default: index.html beside it")


def run(args: argparse.Namespace) -> int:
    """Write the page and say where it is."""
    out = args.out or args.ledger.with_name("index.html")
    write_report(Ledger.read(args.ledger), out)
    print(f"report: {out}")
    return 0
