"""Writing a ledger as it grows."""

from __future__ import annotations

import time
from pathlib import Path

from limitpoint.judgement.record import Record
from limitpoint.ledger.document import Ledger
from limitpoint.ledger.files import check_writable


class Keeper:
    """Writes a ledger as it grows, at most a twentieth of the time.

    Args:
        ledger: may have records already.
        path: of the file.

    Raises:
        UsageError: the file cannot be written, now or later.
    """

    SHARE = 1 / 20

    def __init__(self, ledger: Ledger, path: Path) -> None:
        check_writable(path)
        self.ledger, self.path = ledger, path
        self.due = -float("inf")

    def add(self, record: Record, *, instead_of: Record | None = None) -> None:
        """Append a record; write unless the last time was a moment ago.

        Args:
            record: to append.
            instead_of: one to take out.
        """
        if instead_of is not None:
            self.ledger.claims.remove(instead_of)
        self.ledger.claims.append(record)
        if time.monotonic() >= self.due:
            self.flush()

    def flush(self) -> None:
        """Write now."""
        started = time.monotonic()
        self.ledger.write(self.path)
        ended = time.monotonic()
        self.due = ended + (ended - started) / self.SHARE

    def close(self) -> None:
        """Order the records by id and seed, whatever worker was faster, and write."""
        self.ledger.claims.sort(key=lambda record: (record.id, record.seed))
        self.flush()
