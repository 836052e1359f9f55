"""What a claim measured against what it expected, with the tolerance and where it comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import stats

RELATIONS = ("identity", "close", "at_most", "at_least", "rate", "ordering")


@dataclass(frozen=True)
class Evidence:
    """One comparison.

    Args:
        quantity: what was measured, in words.
        relation: one of `RELATIONS`.
        measured: the measured value; of a series, the entry with the least slack.
        expected: what the theorem expects there.
        tolerance: absolute, there.
        slack: how far inside: 1 is exact or far inside, 0 on the edge, negative is a violation.
        because: where the tolerance comes from.
        entries: how many numbers were compared.
        under: "printed" or "corrected", the statement of an erratum that it is about, or "".
    """

    quantity: str
    relation: str
    measured: float
    expected: float
    tolerance: float
    slack: float
    because: str
    entries: int = 1
    under: str = ""

    @property
    def holds(self) -> bool:
        """Whether the relation holds within the tolerance; false for a NaN."""
        return self.slack >= 0

    def as_dict(self) -> dict[str, Any]:
        """For the ledger; numbers that JSON lacks become None."""
        return {
            key: (value if not isinstance(value, float) or math.isfinite(value) else None)
            for key, value in asdict(self).items()
        }

    @property
    def symbol(self) -> str:
        """The relation between what was measured and what was expected."""
        return {"at_most": "<=", "at_least": ">=", "ordering": "<", "rate": "in"}.get(
            self.relation, "="
        )

    @property
    def brief(self) -> str:
        """Quantity and both numbers, for a person."""
        told = self.tolerance > 0 and (self.symbol == "=" or self.expected == 0)
        within = f" within {self.tolerance:.2g}" if told else ""
        return f"{self.quantity}: {self.measured:.6g} {self.symbol} {self.expected:.6g}{within}"

    def __str__(self) -> str:
        return (
            f"{self.quantity}: measured {self.measured:.6g} {self.symbol} "
            f"expected {self.expected:.6g} "
            f"(tolerance {self.tolerance:.3g}, slack {self.slack:.3g})"
        )


def _array(x: ArrayLike | torch.Tensor) -> np.ndarray:
    if isinstance(x, torch.Tensor):
        x = x.detach().cpu().numpy()
    return np.asarray(x, dtype=float)


def _worst(
    quantity: str,
    relation: str,
    because: str,
    measured: np.ndarray,
    expected: np.ndarray,
    tolerance: np.ndarray,
    slack: np.ndarray,
) -> Evidence:
    if slack.size == 0:
        raise ValueError(f"{quantity}: nothing was measured")
    if not because:
        raise ValueError(f"{quantity}: say where the tolerance comes from")
    slack = np.where(np.isnan(slack), -np.inf, slack)
    worst = np.unravel_index(int(slack.argmin()), slack.shape)
    return Evidence(
        quantity,
        relation,
        float(measured[worst]),
        float(expected[worst]),
        float(tolerance[worst]),
        float(slack[worst]),
        because,
        int(slack.size),
    )


def _broadcast(*parts: ArrayLike | torch.Tensor) -> list[np.ndarray]:
    return [np.asarray(part) for part in np.broadcast_arrays(*(_array(part) for part in parts))]


def close(
    quantity: str,
    measured: ArrayLike | torch.Tensor,
    expected: ArrayLike | torch.Tensor,
    tolerance: ArrayLike | torch.Tensor,
    because: str,
    *,
    relation: str = "close",
) -> Evidence:
    """|measured - expected| <= tolerance, entry by entry; slack is 1 - |difference| / tolerance."""
    m, e, t = _broadcast(measured, expected, tolerance)
    difference = np.abs(m - e)
    if (t < 0).any():
        raise ValueError(f"{quantity}: a tolerance must be >= 0")
    # Equal infinities would give NaN; they are no agreement worth having.
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        slack = np.where(t > 0, 1 - difference / t, np.where(difference == 0, 1.0, -np.inf))
    return _worst(quantity, relation, because, m, e, t, slack)


def identity(
    quantity: str,
    measured: ArrayLike | torch.Tensor,
    expected: ArrayLike | torch.Tensor,
    tolerance: float,
    because: str,
) -> Evidence:
    """Two sides of an equation agree relative to the largest entry of the expected side."""
    expected = _array(expected)
    scale = np.abs(expected).max(initial=0.0) or 1.0
    return close(quantity, measured, expected, tolerance * scale, because, relation="identity")


def _one_sided(
    quantity: str,
    relation: str,
    measured: ArrayLike | torch.Tensor,
    expected: ArrayLike | torch.Tensor,
    tolerance: ArrayLike | torch.Tensor,
    because: str,
) -> Evidence:
    m, e, t = _broadcast(measured, expected, tolerance)
    room = (e - m if relation == "at_most" else m - e) + t
    scale = np.maximum.reduce([np.abs(e), t, np.full_like(t, np.finfo(float).tiny)])
    with np.errstate(invalid="ignore", over="ignore"):
        return _worst(quantity, relation, because, m, e, t, np.minimum(room / scale, 1.0))


def at_most(
    quantity: str,
    measured: ArrayLike | torch.Tensor,
    bound: ArrayLike | torch.Tensor,
    tolerance: ArrayLike | torch.Tensor,
    because: str,
) -> Evidence:
    """Measured <= bound + tolerance; slack is the room left relative to the bound, at most 1."""
    return _one_sided(quantity, "at_most", measured, bound, tolerance, because)


def at_least(
    quantity: str,
    measured: ArrayLike | torch.Tensor,
    bound: ArrayLike | torch.Tensor,
    tolerance: ArrayLike | torch.Tensor,
    because: str,
) -> Evidence:
    """Measured >= bound - tolerance; slack is the room left relative to the bound, at most 1."""
    return _one_sided(quantity, "at_least", measured, bound, tolerance, because)


def ordering(
    quantity: str,
    smaller: ArrayLike | torch.Tensor,
    larger: ArrayLike | torch.Tensor,
    because: str,
    *,
    gap: float = 0.0,
) -> Evidence:
    """Smaller + gap < larger, strictly, pair by pair; slack is relative to the larger."""
    s, g, t = _broadcast(smaller, larger, gap)
    room = g - s - t
    scale = np.maximum(np.abs(g), np.finfo(float).tiny)
    with np.errstate(invalid="ignore", over="ignore"):
        slack = np.where(room > 0, room / scale, -np.maximum(-room / scale, np.finfo(float).eps))
    return _worst(quantity, "ordering", because, s, g, t, np.minimum(slack, 1.0))


def rate(
    quantity: str,
    x: ArrayLike | torch.Tensor,
    y: ArrayLike | torch.Tensor,
    low: float,
    high: float,
    because: str,
    *,
    confidence: float = 0.999,
) -> Evidence:
    """The slope of log y on log x lies in [low, high] with its whole confidence interval.

    Slack is the room left over half the length of [low, high], over 1 if it has one end only.

    Args:
        quantity: what falls or grows.
        x: positive, at least three points over at least two decades.
        y: positive.
        low: least admissible slope, or -inf.
        high: largest admissible slope, or inf.
        because: where the interval comes from.
        confidence: of the slope's interval (Student's t of an ordinary least-squares fit).
    """
    lx, ly = np.log(_array(x)), np.log(_array(y))
    if lx.size < 3 or np.ptp(lx) < 2 * math.log(10) * (1 - 1e-9):
        raise ValueError(f"{quantity}: a rate needs three points over two decades")
    fit = stats.linregress(lx, ly)
    half = float(stats.t.ppf((1 + confidence) / 2, lx.size - 2) * fit.stderr)
    slope = float(fit.slope)
    room = min(slope - half - low, high - slope - half)
    nearest = low if slope - low < high - slope else high
    scale = (high - low) / 2 if math.isfinite(high - low) else 1.0
    return _worst(
        quantity,
        "rate",
        because,
        np.array([slope]),
        np.array([nearest]),
        np.array([half]),
        np.array([min(room / scale, 1.0)]),
    )


def tightest(evidence: Sequence[Evidence]) -> Evidence | None:
    """The comparison with the least slack."""
    return min(evidence, key=lambda e: e.slack, default=None)
