"""What the commands print on, and what keeps an optimizer from printing there."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table


def console(*, stderr: bool = False) -> Console:
    """Where tables go: as wide as the terminal, and readable in a file."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(width=None if stream.isatty() else 140, stderr=stderr)


def claims_table(title: str, first: str = "claim") -> Table:
    """A table whose first column are ids, which stay whole at any width: they are to be copied."""
    table = Table(title=title, title_justify="left")
    table.add_column(first, no_wrap=True, min_width=30)
    return table


def progress(*, hidden: bool) -> Progress:
    """A bar on the terminal's standard error, gone when it is done."""
    screen = Console(file=sys.stderr)  # this one, also while an optimizer is silenced
    return Progress(transient=True, disable=hidden or not screen.is_terminal, console=screen)


class Silence(io.TextIOBase):
    """Swallows text; `lines` says how much."""

    lines = 0

    def write(self, text: str) -> int:
        """Count the lines."""
        self.lines += text.count("\n")
        return len(text)


def say_left_out(lines: int) -> None:
    """Say on standard error how much an optimizer printed, if it did."""
    if lines:
        print(f"{lines} lines that it printed are not shown", file=sys.stderr)


@contextmanager
def silenced() -> Iterator[Silence]:
    """Leave out what an optimizer prints: it would end up inside a table or a JSON document."""
    sink = Silence()
    with redirect_stdout(sink), redirect_stderr(sink):
        yield sink


def print_json(document: object) -> None:
    """One JSON document on standard output; numbers that JSON lacks are null."""
    print(msgspec.json.format(msgspec.json.encode(document), indent=1).decode())
