"""The command line: `limitpoint COMMAND`.

Exit codes: 0 fine, 1 a claim refuted or a regression, 2 wrong usage (one line says what).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import NoReturn

from limitpoint.errors import UsageError

COMMANDS = (
    "list",
    "check",
    "identify",
    "mutants",
    "errata",
    "report",
    "gate",
    "figures",
    "margins",
    "table1",
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = _Parser(prog="limitpoint", description=__doc__.partition("\n")[0])
    top.add_argument("--version", action="version", version=f"limitpoint {version('limitpoint')}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = import_module(f"limitpoint.commands.{name}_")
        sub = commands.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the console script's entry point."""
    args = parser().parse_args(argv)
    try:
        code: int = args.run(args)
    except UsageError as exc:
        print(f"limitpoint {args.command}: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return code
