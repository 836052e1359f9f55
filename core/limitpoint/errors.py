"""What can go wrong, by who has to act."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

#: The exit code of a command that was interrupted, as shells have it: 128 + SIGINT.
INTERRUPTED = 130


class UsageError(ValueError):
    """Wrong usage: one line says what was wrong and what would be right. Exit code 2.

    Args:
        text: the line; what is not printed, such as a newline in a path, is shown escaped.
    """

    def __init__(self, text: str) -> None:
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in text))


class NotApplicable(Exception):  # noqa: N818 - a verdict, not an error
    """A hypothesis of the claim is not met; the message names it."""


class Inconclusive(Exception):  # noqa: N818 - a verdict, not an error
    """Horizon, precision or time ran out; the message says which."""


class SubjectFailed(Exception):  # noqa: N818 - a verdict, not an error
    """The subject raised, left the numbers, did not move or took too long: the claim is refuted."""


def readable(text: str) -> str:
    """A word of the command line that the locale does not know, as the text that UTF-8 has."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def meant(word: str, known: Iterable[str]) -> str:
    """For the end of a message: the known word that is nearest to an unknown one, or nothing."""
    by_case = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_case, n=1, cutoff=0.7)
    return f"; did you mean {by_case[near[0]]}?" if near else ""
