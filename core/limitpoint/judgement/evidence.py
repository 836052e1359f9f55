"""What a claim measured against what it expected, with the tolerance and where it comes from.

Every relation takes, besides its own arguments,

    about: the role that the comparison is about, or `FORMULA` if no optimizer can fail it;
    along: names of the leading dimensions, such as ("step", "entry"), or for each name the numbers
        along it (None: the index). The evidence then says where the worst entry is and, if one of
        them is "step" or "time", where the first violation is.

and raises `SubjectFailed` for a NaN, which is no evidence, and `ValueError` for a claim's own slip.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from limitpoint.errors import SubjectFailed
from limitpoint.judgement.comparison import (
    FORMULA,
    RELATIONS,
    Curve,
    Evidence,
    Place,
    tightest,
)
from limitpoint.judgement.curve import ORDERED, thinned

__all__ = [
    "FORMULA", "RELATIONS", "Evidence", "at_least", "at_most", "close", "identity", "ordering",
    "rate", "tightest",
]  # fmt: skip
Array = NDArray[np.float64]
#: Anything that numpy makes an array of; tensors too.
Numbers = Any
Along = Sequence[str] | Mapping[str, ArrayLike | None]


class _Compared(NamedTuple):
    """Both sides and the tolerance, of one shape."""

    measured: Array
    expected: Array
    tolerance: Array
    whole: bool  # both sides are integers: between two of them there is nothing

    @classmethod
    def of(cls, measured: Numbers, expected: Numbers, tolerance: Numbers) -> _Compared:
        parts = [_array(part) for part in (measured, expected, tolerance)]
        whole = all(part.dtype.kind in "iub" for part in parts[:2])
        m, e, t = np.broadcast_arrays(*(part.astype(float) for part in parts))
        return cls(m, e, t, whole)

    def evidence(
        self, quantity: str, relation: str, because: str, slack: Array, about: str, along: Along
    ) -> Evidence:
        """The entry with the least slack, and where it is."""
        if slack.size == 0:
            raise ValueError(f"{quantity}: nothing was measured")
        if not because:
            raise ValueError(f"{quantity}: say where the tolerance comes from")
        axes = dict(along) if isinstance(along, Mapping) else dict.fromkeys(along)
        _refuse_nan(quantity, {"measured": self.measured, "expected": self.expected}, axes)
        # Equal infinities are no agreement worth having.
        slack = np.where(np.isnan(slack), -np.inf, slack)
        worst = np.unravel_index(int(slack.argmin()), slack.shape)
        least = float(slack[worst])
        return Evidence(
            quantity=quantity,
            relation=relation,
            measured=float(self.measured[worst]),
            expected=float(self.expected[worst]),
            tolerance=float(self.tolerance[worst]),
            slack=least if math.isfinite(least) else None,
            because=because,
            entries=int(slack.size),
            about=about,
            at=_place(worst, axes),
            first=_first_violation(slack, axes),
            curve=self._curve(slack, axes) or msgspec.UNSET,
        )

    def _curve(self, slack: Array, axes: Mapping[str, ArrayLike | None]) -> Curve | None:
        place = _ordered(axes)
        if place is None or place >= slack.ndim:
            return None
        name, at = list(axes.items())[place]
        numbers = np.arange(slack.shape[place]) if at is None else _array(at)
        sides = (self.measured, self.expected, self.tolerance)
        return thinned(name, numbers.astype(float), place, slack, sides)


def _array(x: Numbers) -> NDArray[Any]:
    return np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)


def _place(index: Sequence[Any], axes: Mapping[str, ArrayLike | None]) -> Place:
    named = zip(axes.items(), index, strict=False)
    return {name: int(i) if at is None else _array(at)[i].item() for (name, at), i in named}


def _ordered(axes: Iterable[str]) -> int | None:
    """Which dimension can say what is first, if there is one."""
    return next((k for k, name in enumerate(axes) if name in ORDERED), None)


def _first_violation(slack: Array, axes: Mapping[str, ArrayLike | None]) -> Place:
    ordered = _ordered(axes)
    violated = np.argwhere(slack < 0)
    if ordered is None or len(violated) == 0:
        return {}
    return _place(violated[violated[:, ordered].argmin()], axes)


def _refuse_nan(
    quantity: str, sides: Mapping[str, Array], axes: Mapping[str, ArrayLike | None]
) -> None:
    for side, values in sides.items():
        lost = np.argwhere(np.isnan(values))
        if len(lost):
            place = "".join(f", {name} {at:g}" for name, at in _place(lost[0], axes).items())
            raise SubjectFailed(f"{quantity}: {side} is not a number{place}: no evidence")


def close(
    quantity: str,
    measured: Numbers,
    expected: Numbers,
    tolerance: Numbers,
    because: str,
    *,
    relation: str = "close",
    about: str = "",
    along: Along = (),
) -> Evidence:
    """|measured - expected| <= tolerance, entry by entry; slack is 1 - |difference| / tolerance."""
    both = _Compared.of(measured, expected, tolerance)
    m, e, t, whole = both
    if (t < 0).any():
        raise ValueError(f"{quantity}: a tolerance must be >= 0")
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        difference = np.abs(m - e)
        slack = np.where(t > 0, 1 - difference / t, np.where(difference == 0, 1.0, -np.inf))
        if whole:
            slack = np.where(difference <= t, 1 - difference / (np.floor(t) + 1), slack)
    return both.evidence(quantity, relation, because, slack, about, along)


def identity(
    quantity: str,
    measured: Numbers,
    expected: Numbers,
    tolerance: float,
    because: str,
    *,
    about: str = "",
    along: Along = (),
) -> Evidence:
    """Two sides of an equation agree relative to the largest entry of the expected side."""
    scale = np.abs(_array(expected).astype(float)).max(initial=0.0) or 1.0
    return close(
        quantity, measured, expected, tolerance * scale, because,
        relation="identity", about=about, along=along,
    )  # fmt: skip


def _one_sided(
    quantity: str, relation: str, both: _Compared, because: str, about: str, along: Along
) -> Evidence:
    m, e, t, whole = both
    with np.errstate(invalid="ignore", over="ignore"):
        room = (e - m if relation == "at_most" else m - e) + t
        scale = np.maximum.reduce([np.abs(e), t, np.full_like(t, np.finfo(float).tiny)])
        # The next integer would violate the bound: that far away is the edge.
        room = np.where((room >= 0) & whole, np.floor(room) + 1, room)
        slack = np.minimum(room / scale, 1.0)
    return both.evidence(quantity, relation, because, slack, about, along)


def at_most(
    quantity: str,
    measured: Numbers,
    bound: Numbers,
    tolerance: Numbers,
    because: str,
    *,
    about: str = "",
    along: Along = (),
) -> Evidence:
    """Measured <= bound + tolerance; slack is the room left relative to the bound, at most 1."""
    both = _Compared.of(measured, bound, tolerance)
    return _one_sided(quantity, "at_most", both, because, about, along)


def at_least(
    quantity: str,
    measured: Numbers,
    bound: Numbers,
    tolerance: Numbers,
    because: str,
    *,
    about: str = "",
    along: Along = (),
) -> Evidence:
    """Measured >= bound - tolerance; slack is the room left relative to the bound, at most 1."""
    both = _Compared.of(measured, bound, tolerance)
    return _one_sided(quantity, "at_least", both, because, about, along)


def ordering(
    quantity: str,
    smaller: Numbers,
    larger: Numbers,
    because: str,
    *,
    gap: float = 0.0,
    about: str = "",
    along: Along = (),
) -> Evidence:
    """Smaller + gap < larger, strictly, pair by pair; slack is relative to the larger."""
    both = _Compared.of(smaller, larger, gap)
    s, g, t, _ = both
    with np.errstate(invalid="ignore", over="ignore"):
        room = (g - s - t) / np.maximum(np.abs(g), np.finfo(float).tiny)
        slack = np.where(room > 0, room, np.minimum(room, -np.finfo(float).eps))
    return both.evidence(quantity, "ordering", because, np.minimum(slack, 1.0), about, along)


def rate(
    quantity: str,
    x: Numbers,
    y: Numbers,
    low: float,
    high: float,
    because: str,
    *,
    points: int | None = None,
    about: str = "",
) -> Evidence:
    """Every local exponent, log(y_{i+1} / y_i) / log(x_{i+1} / x_i), lies in [low, high].

    Slack is the room left over half the length of [low, high], over 1 if it has one end only.

    Args:
        quantity: what falls or grows.
        x: positive and growing, over at least two decades.
        y: positive.
        low: least admissible exponent, or -inf.
        high: largest admissible exponent, or inf.
        because: where the interval comes from.
        points: how many of the points are used, evenly spread with both ends; all by default. As
            few as it takes for what oscillates to be small between them.
        about: the role that it is about.
    """
    x, y = (_array(part).astype(float) for part in (x, y))
    chosen = np.unique(np.linspace(0, x.size - 1, points or x.size).round().astype(int))
    x, y = x[chosen], y[chosen]
    if x.size < 2 or x[-1] < 100 * x[0] * (1 - 1e-9) or not (np.diff(x) > 0).all():
        raise ValueError(f"{quantity}: a rate needs growing points over two decades")
    with np.errstate(invalid="ignore", divide="ignore"):
        exponents = np.diff(np.log(y)) / np.diff(np.log(x))
        room = np.minimum(exponents - low, high - exponents)
        nearest = np.where(exponents - low < high - exponents, low, high)
    scale = (high - low) / 2 if math.isfinite(high - low) else 1.0
    both = _Compared(exponents, nearest, np.zeros_like(exponents), whole=False)
    slack = np.minimum(room / scale, 1.0)
    return both.evidence(quantity, "rate", because, slack, about, {"x": x[1:]})
