"""Options that several commands share."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from limitpoint.claiming import Claim
from limitpoint.errors import UsageError
from limitpoint.registry import all_claims


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Which claims: --paper and -k."""
    parser.add_argument("--paper", action="append", default=[], help="only this paper (repeatable)")
    parser.add_argument("-k", dest="keyword", default="", help="only ids that contain this text")


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option --json."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def selected(args: argparse.Namespace) -> list[Claim]:
    """The claims that the options select.

    Raises:
        UsageError: a paper that is not there, or nothing selected.
    """
    claims = list(all_claims().values())
    papers = {claim.paper for claim in claims}
    for paper in args.paper:
        if paper not in papers:
            raise UsageError(f"unknown paper {paper!r}: one of {', '.join(sorted(papers))}")
    chosen = [
        claim
        for claim in claims
        if (not args.paper or claim.paper in args.paper) and args.keyword in claim.id
    ]
    if not chosen:
        raise UsageError("no claim is selected (limitpoint list shows all)")
    return chosen


def console() -> Console:
    """Where tables go: as wide as the terminal, and readable in a file."""
    return Console(width=None if sys.stdout.isatty() else 140)


def print_json(rows: Sequence[dict[str, Any]]) -> None:
    """One JSON document on standard output."""
    print(json.dumps(list(rows), indent=1))
