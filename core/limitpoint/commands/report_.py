"""Write the report page of a ledger: one self-contained HTML file, readable without scripts."""

from __future__ import annotations

import argparse
from pathlib import Path

from limitpoint.ledger.document import Ledger


def run(args: argparse.Namespace) -> int:
    """Write the page and say where it is."""
    ledger, beside = Ledger.read(args.ledger), args.ledger.parent
    out = args.out or beside / "index.html"
    asv = beside.parent / "asv"
    from limitpoint.views.report import write_report  # a ledger that is none needs no figures

    write_report(
        ledger,
        out,
        mutants=args.mutants or _there(beside / "mutants.json"),
        figures=args.figures or _there(beside / "figures"),
        asv=args.asv or (asv if (asv / "index.html").exists() else None),
    )
    print(f"report: {out}")
    return 0


def _there(path: Path) -> Path | None:
    return path if path.exists() else None
