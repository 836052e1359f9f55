"""A comparison along its steps: the few dozen points that a figure takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from limitpoint.judgement.comparison import Curve, Numbers

#: What an axis is called along which one can say what is first.
ORDERED = ("step", "time", "x")
POINTS, LEAST, DIGITS = 32, 4, 5
Array = NDArray[np.float64]


def thinned(axis: str, at: Array, place: int, slack: Array, sides: Sequence[Array]) -> Curve | None:
    """The curve of a comparison; None where there are too few places for one.

    Args:
        axis: its name.
        at: the places along it, rising.
        place: which dimension of the others it is.
        slack: of each entry.
        sides: measured, expected and tolerance, of the same shape.
    """
    if len(at) < LEAST:
        return None
    flat = [np.moveaxis(part, place, 0).reshape(len(at), -1) for part in (slack, *sides)]
    violated = np.argwhere(flat[0] < 0)
    entry = violated[0, 1] if len(violated) else flat[0].min(0).argmin()
    least, measured, expected, tolerance = (part[:, entry] for part in flat)
    kept = _kept(at, least)
    with np.errstate(invalid="ignore"):
        parts = (at, expected, measured - expected, tolerance)
    return Curve(axis, *(_short(part[kept]) for part in parts))


def _kept(at: Array, slack: Array) -> NDArray[np.int64]:
    """Indices, evenly by ratio where the places are; the worst and the first violation are kept."""
    rising = at - at[0] + (at[1] - at[0])
    by_ratio = at[-1] - at[0] > 4 * POINTS * (at[1] - at[0]) > 0
    wanted = (np.geomspace if by_ratio else np.linspace)(rising[0], rising[-1], POINTS)
    places = np.searchsorted(rising, wanted * (1 - 1e-12)).clip(0, len(at) - 1)
    special = [int(slack.argmin()), *np.flatnonzero(slack < 0)[:1]]
    return np.unique(np.concatenate([places, special, [len(at) - 1]])).astype(np.int64)


def _short(values: Array) -> Numbers:
    """Rounded to a few digits; what is not finite is None, as JSON has no such number."""
    return tuple(float(f"{v:.{DIGITS}g}") if np.isfinite(v) else None for v in values)
