"""The atlas as data: one JSON line an optimizer, written as it arrives, found again afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from limitpoint.errors import UsageError
from limitpoint.ledger.files import check_writable, encoded, write_pieces


class Law(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a law said.

    Args:
        verdict: its name.
        reason: why no better: what was measured, expected, and where.
    """

    verdict: str
    reason: str = ""


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An optimizer, or a package that could not be imported.

    Args:
        target: MODULE:ATTR, or MODULE.
        versions: of the packages that its numbers depend on.
        why: it could not be judged; "" if it was.
        facts: what was measured of it, by name.
        roles: those whose steps it takes.
        laws: what each said, by name.
    """

    target: str
    versions: dict[str, str]
    why: str = ""
    facts: dict[str, str] = {}
    roles: tuple[str, ...] = ()
    laws: dict[str, Law] = {}

    @property
    def module(self) -> str:
        """Of the target."""
        return self.target.partition(":")[0]

    @property
    def name(self) -> str:
        """Of the class; "" for a package."""
        return self.target.partition(":")[2]

    @property
    def broken(self) -> dict[str, str]:
        """The laws that it breaks, with what was measured."""
        return {name: law.reason for name, law in self.laws.items() if law.verdict == "refuted"}

    def count(self, verdict: str) -> int:
        """How many laws said so."""
        return sum(law.verdict == verdict for law in self.laws.values())


class Atlas:
    """Rows in a file.

    Args:
        path: of the JSON lines; a last one that was cut is dropped.

    Raises:
        UsageError: it cannot be written, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        check_writable(path)
        *lines, cut = path.read_bytes().split(b"\n") if path.exists() else [b""]
        try:
            rows = [msgspec.json.decode(line, type=Row) for line in lines]
        except (ValueError, msgspec.DecodeError, RecursionError) as exc:
            raise UsageError(f"{path}: holds no rows of an atlas ({exc})") from None
        if cut:  # the next row would stand behind it
            write_pieces([line + b"\n" for line in lines], path)
        self.rows = {row.target: row for row in rows}

    def add(self, row: Row) -> None:
        """Keep a row, on disk when this returns, in place of an older one."""
        self.rows[row.target] = row
        with self.path.open("ab") as file:
            file.write(_line(row))
            file.flush()
            os.fsync(file.fileno())

    def close(self, order: Iterable[str] = ()) -> None:
        """Each row once, packages in the order given and targets by name."""
        places = {module: place for place, module in enumerate(order)}
        rows = sorted(self.rows.values(), key=lambda r: (places.get(r.module, 99), r.target))
        write_pieces(map(_line, rows), self.path)


def _line(row: Row) -> bytes:
    return encoded(row) + b"\n"
