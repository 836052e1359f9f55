"""Rows of a map in a CSV file: written as they arrive, found again after an interruption."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from pathlib import Path

import pandas as pd

from limitpoint.errors import UsageError
from limitpoint.ledger.files import check_writable, write_text
from limitpoint.sweeps._grid import Grid, Point, points
from limitpoint.sweeps._map import Map, Row

#: The column that says which map a row is of.
MAP = "map"


class Rows:
    """The rows of a map, keyed by its settings.

    A file that is there is gone on with: points whose rows are all there are done, and what an
    interruption left of others is dropped.

    Args:
        of: the map.
        path: the CSV file.

    Raises:
        UsageError: the file cannot be written, or holds something else.
    """

    def __init__(self, of: Map, path: Path) -> None:
        self.map, self.path = of, path
        check_writable(path)
        kept = self._whole_rows() if path.exists() else []
        counts = Counter(map(self._key, kept))
        self.done = {key for key, count in counts.items() if count == of.rows_a_point}
        if path.exists():
            write_text(
                self._text([r for r in kept if self._key(r) in self.done], header=True), path
            )

    def _key(self, row: Row) -> Point:
        return tuple(float(row[name]) for name in self.map.axes)

    def _whole_rows(self) -> list[Row]:
        """The rows that end in a newline: the last one may have been cut."""
        *lines, cut = self._read().split("\n")
        first, ours = [*lines, cut][0], ",".join([MAP, *self.map.axes]) + ","
        if not (first.startswith(ours) or (not lines and ours.startswith(cut))):
            raise self._other()
        try:
            rows = [dict(row) for row in csv.DictReader(lines, strict=True)]
            if any(row.pop(MAP) != self.map.name for row in rows):
                raise self._other()
            return [{name: _value(text) for name, text in row.items()} for row in rows]
        except (AttributeError, TypeError, ValueError, csv.Error):
            raise UsageError(f"{self.path}: a row of it is none; remove it") from None

    def _other(self) -> UsageError:
        return UsageError(f"{self.path}: holds no rows of {self.map.name}; give another --out")

    def _read(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8")
        except OSError as exc:
            raise UsageError(f"{self.path}: cannot be read ({exc.strerror})") from None
        except UnicodeDecodeError:
            raise UsageError(f"{self.path}: is no text; give another --out") from None

    def _text(self, rows: list[Row], *, header: bool) -> str:
        if not rows:
            return ""
        out = io.StringIO()
        writer = csv.DictWriter(out, [MAP, *rows[0]], lineterminator="\n")
        if header:
            writer.writeheader()
        writer.writerows({MAP: self.map.name, **row} for row in rows)
        return out.getvalue()

    def missing(self, grid: Grid) -> list[Point]:
        """The points of a grid that have no rows yet."""
        return [point for point in points(grid) if point not in self.done]

    def add(self, rows: list[Row]) -> int:
        """Keep the rows of some points, on disk when this returns; a point is kept once.

        Returns:
            How many points were not there yet.
        """
        new = [row for row in rows if self._key(row) not in self.done]
        with self.path.open("a", encoding="utf-8") as file:
            file.write(self._text(new, header=file.tell() == 0))
            file.flush()
            os.fsync(file.fileno())
        points = set(map(self._key, new))
        self.done |= points
        return len(points)

    def frame(self, grid: Grid) -> pd.DataFrame:
        """The rows of a grid, in its order."""
        wanted = {point: place for place, point in enumerate(points(grid))}
        rows = [row for row in self._whole_rows() if self._key(row) in wanted]
        rows.sort(key=lambda row: wanted[self._key(row)])
        return pd.DataFrame(rows)


def _value(text: str) -> float | str:
    """What a cell holds; the words of a verdict are no number."""
    try:
        return float(text)
    except ValueError:
        if not text:
            raise
        return text
