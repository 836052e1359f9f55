"""The ledger: one JSON document, schema 1, that a run of the claims leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from limitpoint.errors import UsageError
from limitpoint.judgement.comparison import Evidence
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
        whole = read_document(path, "ledger", SCHEMA, _Unread)
        ledger, known = cls(whole.suite, whole.environment, []), dict[Any, Any]()
        for place, raw in enumerate(whole.claims):
            try:
                record = msgspec.json.decode(raw, type=Record)
            except (ValueError, RecursionError) as exc:
                told, _, inside = str(exc).partition(" - at `$")
                at = f"`$.claims[{place}]{inside or '`'}"
                raise UsageError(f"ledger {path}: {told} - at {at}") from None
            ledger.claims.append(_shared(record, known))
        later = since(path, Record)
        if later:
            found = {key_of(record): record for record in [*ledger.claims, *later]}
            ledger.claims = list(found.values())
        return ledger


class _Unread(msgspec.Struct, tag_field="schema", tag=SCHEMA):
    """A ledger whose records are still text."""

    suite: Suite
    environment: Environment
    claims: list[msgspec.Raw]


def _shared(record: Record, known: dict[Any, Any]) -> Record:
    """A record that holds what others have too only once: most of a large ledger."""
    for part in (record, *record.evidence):
        for name in COMMON[type(part)]:
            value = getattr(part, name)
            msgspec.structs.force_setattr(part, name, known.setdefault(value, value))
    return record


#: What the records of a claim under many seeds have in common.
COMMON = {
    Record: (
        "id",
        "source",
        "statement",
        "kind",
        "roles",
        "subject",
        "engine",
        "device",
        "horizon",
    ),
    Evidence: ("quantity", "relation", "because", "about"),
}
