"""Writing a ledger as it grows."""

from __future__ import annotations

import time
from pathlib import Path

from limitpoint.judgement.record import Record
from limitpoint.ledger.document import Ledger
from limitpoint.ledger.journal import Journal


class Keeper:
    """Keeps every record at once, in a journal, and writes the ledger a twentieth of the time.

    Args:
        ledger: may have records already.
        path: of the file.

    Raises:
        UsageError: the file cannot be written, now or later, or another run is writing it.
    """

    SHARE = 1 / 20

    def __init__(self, ledger: Ledger, path: Path) -> None:
        self.journal = Journal(path)
        self.ledger, self.path = ledger, path
        self.due = -float("inf")
        self.fresh = not ledger.claims

    def add(self, record: Record, *, place: int | None = None) -> None:
        """Keep a record.

        Args:
            record: to append.
            place: of a record of the ledger that it replaces.
        """
        if place is None:
            self.ledger.claims.append(record)
        else:
            self.ledger.claims[place] = record
        if time.monotonic() >= self.due:
            self.flush()
        else:
            self.journal.add(record)

    def flush(self) -> None:
        """Write now."""
        started = time.monotonic()
        if self.fresh:  # what another run left there is no part of this one's
            self.journal.clear()
            self.fresh = False
        self.ledger.write(self.path)
        self.journal.clear()
        ended = time.monotonic()
        self.due = ended + (ended - started) / self.SHARE

    def close(self) -> None:
        """Order the records by id and seed, whatever worker was faster, and write."""
        self.ledger.claims.sort(key=lambda record: (record.id, record.seed))
        self.flush()
        self.journal.close()
