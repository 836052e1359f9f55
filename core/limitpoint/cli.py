"""The command line: `limitpoint COMMAND`.

Exit codes: 0 fine, 1 a claim refuted or a regression, 2 wrong usage (one line says what). Commands
are described in `commands/arguments.py`, and loaded when they are run.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from limitpoint.commands.arguments import COMMANDS
from limitpoint.errors import INTERRUPTED, UsageError, meant


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


class _Version(argparse.Action):
    def __call__(self, *args: object, **options: object) -> None:
        from importlib.metadata import version  # slow to import

        print(f"limitpoint {version('limitpoint')}")
        raise SystemExit(0)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = _Parser(prog="limitpoint", description=__doc__.partition("\n")[0])
    top.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=command.help,
            description=f"{command.help[0].upper()}{command.help[1:]}.",
            epilog=command.epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.describe(sub)
        sub.set_defaults(parser=sub)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the console script's entry point."""
    words = list(sys.argv[1:] if argv is None else argv)
    top = parser()
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        known = f"{meant(words[0], COMMANDS)}; commands: {', '.join(COMMANDS)}"
        top.error(f"unknown command {words[0]!r}{known}")
    args, unknown = top.parse_known_args(words)
    if unknown:
        near = meant(unknown[0], re.findall(r"--[\w-]+", args.parser.format_help()))
        args.parser.error(f"unknown argument {unknown[0]!r}{near}")
    try:
        code: int = import_module(f"limitpoint.commands.{args.command}_").run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # `limitpoint list | head`: whoever reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # what a shell calls SIGPIPE: a gate that nobody read has not passed
    except UsageError as exc:
        print(f"limitpoint {args.command}: {exc}", file=sys.stderr)
        return 2
    except OSError as exc:
        where = f"{exc.filename}: " if exc.filename else ""
        print(f"limitpoint {args.command}: {where}{exc.strerror or exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return code
