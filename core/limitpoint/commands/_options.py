"""Options that several commands share."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

from rich.console import Console
from rich.progress import Progress, TimeRemainingColumn

from limitpoint.errors import UsageError
from limitpoint.judgement.claim import Claim
from limitpoint.judgement.registry import all_claims
from limitpoint.subjects import MEMORY


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Which claims: --paper and -k."""
    parser.add_argument("--paper", action="append", default=[], help="only this paper (repeatable)")
    parser.add_argument("-k", dest="keyword", default="", help="only ids that contain this text")


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option --json."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def add_limits(parser: argparse.ArgumentParser, timeout: float, run: str) -> None:
    """What an optimizer may take: --timeout and --memory.

    Args:
        parser: to add them to.
        timeout: default, in seconds.
        run: what they are for, such as "a run".
    """
    parser.add_argument("--timeout", type=_positive, default=timeout, metavar="SECONDS",
                        help=f"what {run} may take (default {timeout:g})")  # fmt: skip
    parser.add_argument("--memory", type=_positive, default=MEMORY, metavar="GIGABYTES",
                        help=f"what {run} may add to the process (default {MEMORY:g})")  # fmt: skip


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number > 0")
    return number


def positive_integer(text: str) -> int:
    """The type of an option that counts."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number > 0")
    return int(text)


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


def console(*, stderr: bool = False) -> Console:
    """Where tables go: as wide as the terminal, and readable in a file."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(width=None if stream.isatty() else 140, stderr=stderr)


def progress(*, hidden: bool) -> Progress:
    """A bar on the terminal's standard error, gone when it is done."""
    columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn())
    screen = Console(file=sys.stderr)  # this one, also while an optimizer is silenced
    return Progress(
        *columns, transient=True, disable=hidden or not screen.is_terminal, console=screen
    )


class Silence(io.TextIOBase):
    """Swallows text; `lines` says how much."""

    lines = 0

    def write(self, text: str) -> int:
        """Count the lines."""
        self.lines += text.count("\n")
        return len(text)

    def report(self) -> None:
        """Say on standard error that an optimizer's output was left out, if there was any."""
        if self.lines:
            print(f"{self.lines} lines that it printed are not shown", file=sys.stderr)


@contextmanager
def silenced() -> Iterator[Silence]:
    """Leave out what an optimizer prints: it would end up inside a table or a JSON document."""
    sink = Silence()
    with redirect_stdout(sink), redirect_stderr(sink):
        yield sink


def print_json(rows: Sequence[dict[str, Any]]) -> None:
    """One JSON document on standard output."""
    print(json.dumps(list(rows), indent=1))
