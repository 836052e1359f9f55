"""How far a subject's process has come, in memory that the process shares with its parent."""

from __future__ import annotations

import mmap

import numpy as np

CONSTRUCTOR, STARTING, DIRECTION = -1, -2, -3
_PLACES = {
    CONSTRUCTOR: "in its constructor",
    STARTING: "before its first step",
    DIRECTION: "in its direction",
}


class Pulse:
    """A place, and how often one was told."""

    def __init__(self) -> None:
        self._told = np.frombuffer(mmap.mmap(-1, 16), dtype=np.int64)
        self._told[0] = STARTING

    def tell(self, place: int) -> None:
        """Say where the subject is called: a step, or a place before the steps."""
        self._told[0] = place
        self._told[1] += 1

    @property
    def place(self) -> int:
        """Where it is."""
        return int(self._told[0])

    @property
    def count(self) -> int:
        """How often it was told."""
        return int(self._told[1])

    @property
    def where(self) -> str:
        """Where it is, in words."""
        return _PLACES.get(self.place, f"at step {self.place}")


#: Of this process.
PULSE = Pulse()
