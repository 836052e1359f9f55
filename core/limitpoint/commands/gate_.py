"""Hold a ledger against a baseline: fail on a verdict that got worse or a claim that vanished."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.table import Table

from limitpoint.commands._options import add_json, console, print_json
from limitpoint.errors import UsageError
from limitpoint.ledger import Ledger
from limitpoint.ledger.gate import Change, as_baseline, compare, write_expected

HELP = "compare a ledger with a baseline"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `limitpoint gate`."""
    parser.add_argument("ledger", type=Path, help="a ledger written by pytest --ledger")
    parser.add_argument("--baseline", type=Path, default=None, help="the ledger to hold it against")
    parser.add_argument("--slack-factor", type=float, default=2.0, metavar="F",
                        help="a least slack may shrink by this factor (default 2)")  # fmt: skip
    parser.add_argument("--at-least", type=int, default=1, metavar="N",
                        help="fail if fewer claims ran (default 1)")  # fmt: skip
    parser.add_argument("--write-expected", type=Path, default=None, metavar="FILE",
                        help="list the claims that failed, for --expected-failures")  # fmt: skip
    parser.add_argument("--write-baseline", type=Path, default=None, metavar="FILE",
                        help="keep what later ledgers are held against, no timings")  # fmt: skip
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print what changed; 1 if something got worse."""
    if not args.slack_factor > 1:
        raise UsageError(f"--slack-factor {args.slack_factor}: must be > 1")
    if not (args.baseline or args.write_expected or args.write_baseline):
        raise UsageError("give --baseline LEDGER, --write-baseline FILE or --write-expected FILE")
    ledger = Ledger.read(args.ledger)
    if args.write_expected:
        write_expected(ledger, args.write_expected)
    changes = _guard(ledger, args.at_least)
    if args.baseline:
        changes += compare(Ledger.read(args.baseline), ledger, slack_factor=args.slack_factor)
    if args.write_baseline:
        as_baseline(ledger).write(args.write_baseline)
    if args.json:
        print_json([vars(change) for change in changes])
    else:
        _show(changes, len({record["id"] for record in ledger.claims}))
    return 1 if any(change.worse for change in changes) else 0


def _guard(ledger: Ledger, least: int) -> list[Change]:
    ran = len({record["id"] for record in ledger.claims})
    text = f"only {ran} claims ran, fewer than --at-least {least}"
    return [Change("suite", text, True)] if ran < least else []


def _show(changes: list[Change], ran: int) -> None:
    worse = sum(change.worse for change in changes)
    if changes:
        table = Table(title="what changed", title_justify="left")
        for column in ("claim", "change"):
            table.add_column(column, overflow="fold")
        for change in changes:
            colour = "red" if change.worse else "green"
            table.add_row(f"[{colour}]{change.id}[/]", change.what)
        console().print(table)
    print(f"{ran} claims, {len(changes)} changes, {worse} worse")
