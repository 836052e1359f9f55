"""List the claims: id, kind, roles, rivals, source."""

from __future__ import annotations

import argparse

from limitpoint.commands._screen import claims_table, console, print_json
from limitpoint.commands._selection import selected

WIDE = 120


def run(args: argparse.Namespace) -> int:
    """Print the claims."""
    claims = selected(args)
    if args.json:
        names = ("id", "source", "statement", "hypotheses", "kind", "roles", "rivals")
        print_json([{name: getattr(claim, name) for name in names} for claim in claims])
        return 0
    out = console()
    columns = ("kind", "roles", "rivals", "source")[: 4 if out.width >= WIDE else 2]
    table = claims_table(f"{len(claims)} claims", "id")
    for column in columns:
        table.add_column(column, overflow="fold")
    for claim in claims:
        cells = {
            "kind": claim.kind,
            "roles": ", ".join(claim.roles),
            "rivals": ", ".join(claim.rivals),
            "source": claim.source,
        }
        table.add_row(claim.id, *(cells[column] for column in columns))
    out.print(table)
    return 0
