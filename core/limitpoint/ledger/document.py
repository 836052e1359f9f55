"""The ledger: one JSON document, schema 1, that a run of the claims leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from limitpoint.judgement.record import Record
from limitpoint.ledger.files import indented, read_document, write_pieces
from limitpoint.ledger.journal import since
from limitpoint.ledger.keys import key_of
from limitpoint.ledger.provenance import Environment, Suite

SCHEMA = 1


class Ledger(msgspec.Struct, tag_field="schema", tag=SCHEMA):
    """Records of claims, and where they come from."""

    suite: Suite
    environment: Environment
    claims: list[Record]

    def write(self, path: Path) -> None:
        """Replace the file in one step: an interrupted run leaves a whole ledger, old or new."""
        write_pieces(self._pieces(), path)

    def _pieces(self) -> Iterator[bytes]:
        """The document, a record at a time: there may be a million."""
        whole = indented(Ledger(self.suite, self.environment, []))
        before, _, after = whole.rpartition(b"[]")
        yield before + b"["
        for count, record in enumerate(self.claims):
            yield (b",\n  " if count else b"\n  ") + indented(record).replace(b"\n", b"\n  ")
        yield (b"\n ]" if self.claims else b"]") + after + b"\n"

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """Read a ledger, and what an interrupted run has kept beside it.

        Raises:
            UsageError: no such file, no JSON, another schema, or a record that is none.
        """
        ledger = read_document(path, "ledger", SCHEMA, cls)
        later = since(path, Record)
        if later:
            found = {key_of(record): record for record in [*ledger.claims, *later]}
            ledger.claims = list(found.values())
        return ledger
