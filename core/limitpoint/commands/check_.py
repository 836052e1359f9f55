"""Check somebody's optimizer: run the claims of a role against it."""

from __future__ import annotations

import argparse

import pytest

from limitpoint.registry import claims_folder

HELP = "run the claims of a role against an optimizer"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `limitpoint check`."""
    parser.add_argument("subject", nargs="+", metavar="ROLE=MODULE:ATTR[,key=value...]")
    parser.add_argument("-k", dest="keyword", default="", help="only these claims (as pytest's -k)")
    parser.add_argument("--seeds", default="42", help="42, 0-19 or 1,5,7-9 (default 42)")
    parser.add_argument("--horizon", default="quick", help="quick or full (default quick)")
    parser.add_argument("--ledger", default=None, help="write the JSON ledger here")


def run(args: argparse.Namespace) -> int:
    """Run pytest on the claims with the subjects; its exit code."""
    words = [str(claims_folder()), "-q", "--no-header", "--import-mode=importlib"]
    words += ["-p", "no:cacheprovider", "--seeds", args.seeds, "--horizon", args.horizon]
    for subject in args.subject:
        words += ["--subject", subject]
    if args.keyword:
        words += ["-k", args.keyword]
    if args.ledger:
        words += ["--ledger", args.ledger]
    return int(pytest.main(words))
