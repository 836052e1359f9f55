"""List the roles: each with its rule's step."""

from __future__ import annotations

import argparse
import sys

from limitpoint.judgement.roles import ROLES


def run(args: argparse.Namespace) -> int:
    """Print them; nothing is loaded for it."""
    if args.json:
        from limitpoint.commands._screen import print_json

        print_json(ROLES)
        return 0
    sys.stdout.write(args.shown)
    return 0
