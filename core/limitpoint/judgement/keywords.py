"""The expression of -k, as pytest reads it: names, "and", "or", "not" and brackets."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable

from limitpoint.errors import UsageError

_TOKEN = re.compile(r"\s*(?:(?P<mark>[()])|(?P<name>[\w:+.\[\]\\/-]+))")
_OPERATORS = ("and", "or", "not")


class Keywords:
    """A selection by names: a name is there if it is part of one of those given, in any case.

    Args:
        text: such as "adam and not rates"; "" selects everything.

    Raises:
        UsageError: the text is no such expression.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.select(())

    def select(self, names: Iterable[str]) -> bool:
        """Whether the expression holds of something with these names."""
        if not self.tokens:
            return True
        lowered = [name.lower() for name in names]
        words = [
            token if token in (*_OPERATORS, "(", ")")
            else str(any(token.lower() in name for name in lowered))
            for token in self.tokens
        ]  # fmt: skip
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", SyntaxWarning)  # True (False): a call of True
                # Only brackets, operators, True and False are left of the text.
                return bool(eval(" ".join(words), {"__builtins__": {}}))
        except (SyntaxError, TypeError, RecursionError, MemoryError):
            example = "-k 'adam and not rates'"
            raise UsageError(
                f"-k {self.text!r} is no expression: write one like {example}"
            ) from None


def _tokens(text: str) -> Iterable[str]:
    place = 0
    while text[place:].strip():
        found = _TOKEN.match(text, place)
        if found is None:
            raise UsageError(
                f"-k {text!r}: {text[place:].strip()!r} is no name, operator or bracket"
            )
        yield found["mark"] or found["name"]
        place = found.end()
