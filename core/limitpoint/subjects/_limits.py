"""What a contestant may take in one run."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Limits:
    """What a contestant may take in one run.

    Args:
        timeout: seconds of wall time, or None.
        memory: gigabytes that the process may gain, or None.
    """

    timeout: float | None = None
    memory: float | None = None

    def for_runs(self, count: int) -> Limits:
        """What so many runs at once may take: their time, and the memory of one."""
        return replace(self, timeout=None if self.timeout is None else count * self.timeout)


#: For limitpoint's own rules, which end.
UNLIMITED = Limits()
#: For somebody else's, unless the user says otherwise.
USUAL = Limits(timeout=120.0, memory=4.0)
