"""List the claims: id, kind, roles, rivals, source."""

from __future__ import annotations

import argparse

from rich.table import Table

from limitpoint.commands._options import add_json, add_selection, console, print_json, selected

HELP = "list the claims"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `limitpoint list`."""
    add_selection(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the claims."""
    claims = selected(args)
    if args.json:
        print_json(
            [
                {
                    "id": claim.id,
                    "source": claim.source,
                    "statement": claim.statement,
                    "hypotheses": list(claim.hypotheses),
                    "kind": claim.kind,
                    "roles": list(claim.roles),
                    "rivals": list(claim.rivals),
                }
                for claim in claims
            ]
        )
        return 0
    table = Table(title=f"{len(claims)} claims", title_justify="left")
    for column in ("id", "kind", "roles", "rivals", "source"):
        table.add_column(column, overflow="fold")
    for claim in claims:
        roles, rivals = ", ".join(claim.roles), ", ".join(claim.rivals)
        table.add_row(claim.id, claim.kind, roles, rivals, claim.source)
    console().print(table)
    return 0
