"""Write the report page of a ledger: one self-contained HTML file, readable without scripts."""

from __future__ import annotations

import argparse
from pathlib import Path

from limitpoint.errors import UsageError
from limitpoint.ledger import Ledger
from limitpoint.views.report import write_report

HELP = "write the report page of a ledger"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `limitpoint report`."""
    parser.add_argument("ledger", type=Path, help="a ledger written by pytest --ledger")
    parser.add_argument("--out", type=Path, default=None, help="default: index.html beside it")
    parser.add_argument("--mutants", type=Path, default=None, metavar="FILE",
                        help="the kill matrix that `limitpoint mutants --json FILE` kept "
                        "(default: mutants.json beside the ledger, if it is there)")  # fmt: skip
    parser.add_argument("--figures", type=Path, default=None, metavar="DIR",
                        help="the folder of `limitpoint figures` "
                        "(default: figures beside the ledger, if it is there)")  # fmt: skip
    parser.add_argument("--asv", type=Path, default=None, metavar="DIR",
                        help="the folder of asv's dashboard, to link to "
                        "(default: ../asv beside the ledger, if it is there)")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Write the page and say where it is."""
    beside = args.ledger.parent
    out = args.out or beside / "index.html"
    write_report(
        Ledger.read(args.ledger),
        out,
        mutants=args.mutants or _there(beside / "mutants.json"),
        figures=args.figures or _there(beside / "figures"),
        asv=_dashboard(args.asv, beside.parent / "asv"),
    )
    print(f"report: {out}")
    return 0


def _dashboard(given: Path | None, usual: Path) -> Path | None:
    if given is None:
        return usual if (usual / "index.html").exists() else None
    if not (given / "index.html").exists():
        raise UsageError(f"--asv {given}: no index.html in it (asv publish makes one)")
    return given


def _there(path: Path) -> Path | None:
    return path if path.exists() else None
