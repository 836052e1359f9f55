"""Hold a ledger against a baseline: fail on a verdict that got worse or a claim that vanished."""

from __future__ import annotations

import argparse

from rich.text import Text

from limitpoint.commands._screen import claims_table, console, print_json
from limitpoint.errors import UsageError
from limitpoint.ledger.document import Ledger
from limitpoint.ledger.gate import Change, as_baseline, compare, write_expected


def run(args: argparse.Namespace) -> int:
    """Print what changed; 1 if something got worse."""
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
        _show(changes, len({record.id for record in ledger.claims}))
    return int(any(change.worse for change in changes))


def _guard(ledger: Ledger, least: int) -> list[Change]:
    ran = len({record.id for record in ledger.claims})
    text = f"only {ran} claims ran, fewer than --at-least {least}"
    return [Change("suite", text, True)] if ran < least else []


def _show(changes: list[Change], ran: int) -> None:
    worse = sum(change.worse for change in changes)
    if changes:
        table = claims_table("what changed")
        table.add_column("change", overflow="fold")
        for change in changes:
            table.add_row(Text(change.id, "red" if change.worse else "green"), Text(change.what))
        console().print(table)
    print(f"{ran} claims, {len(changes)} changes, {worse} worse")
