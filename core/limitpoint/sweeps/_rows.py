"""Rows of a map in a CSV file: written as they arrive, found again after an interruption."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from limitpoint.errors import UsageError
from limitpoint.ledger.files import check_writable, write_pieces
from limitpoint.sweeps._grid import Grid, Point, points
from limitpoint.sweeps._map import Map

#: The column that says which map a row is of.
MAP = "map"
#: So many rows are text at a time.
CHUNK = 10_000


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
        self.done: set[Point] = set()
        if path.exists():
            kept = self._whole_rows()
            counts = Counter(self._points(kept))
            self.done = {point for point, count in counts.items() if count == of.rows_a_point}
            write_pieces(self._pieces(kept[self._are_done(kept)]), path)

    def _points(self, rows: pd.DataFrame) -> Iterator[Point]:
        return zip(*(rows[name].astype(float) for name in self.map.axes), strict=True)

    def _are_done(self, rows: pd.DataFrame) -> NDArray[np.bool_]:
        return np.array([point in self.done for point in self._points(rows)], dtype=bool)

    def _whole_rows(self) -> pd.DataFrame:
        """The rows that end in a newline: the last one may have been cut."""
        try:
            with self.path.open(encoding="utf-8") as file:
                return self._parsed(file)
        except UsageError:
            raise
        except OSError as exc:
            raise UsageError(f"{self.path}: cannot be read ({exc.strerror})") from None
        except UnicodeDecodeError:
            raise UsageError(f"{self.path}: is no text; give another --out") from None
        except (ValueError, csv.Error):
            raise UsageError(f"{self.path}: a row of it is none; remove it") from None

    def _parsed(self, file: TextIO) -> pd.DataFrame:
        first, ours = file.readline(), ",".join([MAP, *self.map.axes]) + ","
        if not (first.startswith(ours) or ours.startswith(first)):
            raise self._other()
        names = next(csv.reader([first], strict=True), [])
        rows = filter(None, csv.reader((line for line in file if line.endswith("\n")), strict=True))
        chunks = iter(lambda: list(islice(rows, CHUNK)), [])
        parts = [self._columns(names, chunk) for chunk in chunks]
        return (
            pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*self.map.axes])
        )

    def _columns(self, names: list[str], rows: list[list[str]]) -> pd.DataFrame:
        columns = dict(zip(names, zip(*rows, strict=True), strict=True))
        if set(columns.pop(MAP)) != {self.map.name}:
            raise self._other()
        of_axes = {name: list(map(float, columns[name])) for name in self.map.axes}
        return pd.DataFrame({n: list(map(_value, c)) for n, c in columns.items()} | of_axes)

    def _other(self) -> UsageError:
        return UsageError(f"{self.path}: holds no rows of {self.map.name}; give another --out")

    def _pieces(self, rows: pd.DataFrame, *, header: bool = True) -> Iterator[bytes]:
        """The text of rows, some at a time: there may be a million."""
        for start in range(0, len(rows), CHUNK):
            piece = rows[start : start + CHUNK].copy()
            piece.insert(0, MAP, self.map.name)
            yield piece.to_csv(
                index=False, header=header and not start, lineterminator="\n", na_rep="nan"
            ).encode()

    def missing(self, grid: Grid) -> list[Point]:
        """The points of a grid that have no rows yet."""
        return [point for point in points(grid) if point not in self.done]

    def add(self, rows: pd.DataFrame) -> int:
        """Keep the rows of some points, on disk when this returns; a point is kept once.

        Returns:
            How many points were not there yet.
        """
        new = rows[~self._are_done(rows)]
        with self.path.open("ab") as file:
            file.writelines(self._pieces(new, header=file.tell() == 0))
            file.flush()
            os.fsync(file.fileno())
        before = len(self.done)
        self.done.update(self._points(new))
        return len(self.done) - before

    def frame(self, grid: Grid) -> pd.DataFrame:
        """The rows of a grid, in its order."""
        wanted = {point: place for place, point in enumerate(points(grid))}
        rows = self._whole_rows()
        places = pd.Series([wanted.get(point) for point in self._points(rows)], dtype=float)
        order = places.dropna().sort_values(kind="stable").index
        return rows.loc[order].reset_index(drop=True)


def _value(text: str) -> float | str:
    """What a cell holds; the words of a verdict are no number."""
    try:
        return float(text)
    except ValueError:
        if not text:
            raise
        return text
