"""The ledger: one JSON document, schema 1, that a run of the claims leaves behind."""

from __future__ import annotations

from pathlib import Path

import msgspec

from limitpoint.judgement.record import Record
from limitpoint.ledger.files import read_document, write_document
from limitpoint.ledger.provenance import Environment, Suite

SCHEMA = 1


class Ledger(msgspec.Struct, tag_field="schema", tag=SCHEMA):
    """Records of claims, and where they come from."""

    suite: Suite
    environment: Environment
    claims: list[Record]

    def write(self, path: Path) -> None:
        """Replace the file in one step: an interrupted run leaves a whole ledger, old or new."""
        write_document(self, path)

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """Read a ledger.

        Raises:
            UsageError: no such file, no JSON, another schema, or a record that is none.
        """
        return read_document(path, "ledger", SCHEMA, cls)
