"""What a subject prints: kept up to a point, and printed again where its judge prints."""

from __future__ import annotations

import io
import sys

LONGEST = 100_000


class Printed(io.TextIOBase):
    """Takes text, and keeps the first of it."""

    def __init__(self) -> None:
        self._kept: list[str] = []
        self._room = LONGEST
        self._left_out = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str) -> int:
        """Keep it if there is room."""
        kept = text[: self._room]
        if kept:
            self._kept.append(kept)
            self._room -= len(kept)
        self._left_out += len(text) - len(kept)
        return len(text)

    def text(self) -> str:
        """What was kept, and how much was not."""
        rest = f"\n... {self._left_out} characters more\n" if self._left_out else ""
        return "".join(self._kept) + rest


def reprint(text: str) -> None:
    """Print it here."""
    if text:
        sys.stdout.write(text)
