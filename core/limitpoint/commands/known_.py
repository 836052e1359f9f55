"""Write what is known of each optimizer, from the registry."""

from __future__ import annotations

import argparse

from limitpoint.commands._selection import selected
from limitpoint.ledger import Ledger, write_text
from limitpoint.views.known import page


def run(args: argparse.Namespace) -> int:
    """Print the page, or write it."""
    records = Ledger.read(args.ledger).claims if args.ledger else []
    text = page(selected(args), records)
    if args.out is None:
        print(text, end="")
        return 0
    write_text(text, args.out)
    print(f"known: {args.out}")
    return 0
