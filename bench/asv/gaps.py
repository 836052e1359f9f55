"""What claims leave open at the quick horizon, on seed 42: gaps, so that lower is better.

A few of those that end in seconds: the slack of every claim is the ledger's, and `limitpoint gate`
compares it.
"""

from collections.abc import Callable
from typing import Any

from ._commit import evaluated, skipped_where_missing

#: Gaps below it are rounding, which differs from one processor to the next.
RESOLUTION = 1e-11
PROMISED = "0.5, then the margin promised over |W|_max and the optimum"


def _below_one(evidence: Any) -> float:
    """Of an ordering: a share, then what has to be larger."""
    return 1 - evidence.expected


def _distance(evidence: Any) -> float:
    return abs(evidence.measured - evidence.expected)


def _relative(evidence: Any) -> float:
    return _distance(evidence) / abs(evidence.expected)


#: Name of a gap: claim, the evidence's quantity, and what is made of it.
GAPS: dict[str, tuple[str, str, Callable[[Any], float]]] = {
    "Adam, clusters: 1 - promised max-norm margin / optimum": (
        "multiclass/adam-max-norm", f"clusters, a = 0.5: {PROMISED}", _below_one,
    ),
    "Adam, digits: 1 - promised max-norm margin / optimum": (
        "multiclass/adam-max-norm", f"digits, a = 0.5: {PROMISED}", _below_one,
    ),
    "USAM, logistic: residual off the l2 max margin": (
        "usam/max-margin", "Logistic: residual", _relative,
    ),
    "1-SAM: limit off the certified minimiser": (
        "sam/1-sam-effective-alpha", "limit, rho = 0.1", _distance,
    ),
    "n-SAM: limit off the certified minimiser": (
        "sam/n-sam-effective-alpha", "limit, rho = 0.5", _distance,
    ),
}  # fmt: skip


class Claims:
    """One claim's gap for each entry of `GAPS`."""

    params = (tuple(GAPS),)
    param_names = ("gap",)
    unit = "gap"
    timeout = 600

    def setup_cache(self) -> dict[str, float]:
        """Evaluate the claims once for all; what a commit lacks is left out."""
        try:
            from limitpoint import Setting, all_claims
        except ImportError:
            return {}
        claims, setting = all_claims(), Setting()
        wanted = {claim for claim, _, _ in GAPS.values() if claim in claims}
        found = {
            (name, evidence.quantity): evidence
            for name in wanted
            for evidence in evaluated(claims[name], setting).evidence
        }
        return {
            gap: max(measure(found[claim, quantity]), RESOLUTION)
            for gap, (claim, quantity, measure) in GAPS.items()
            if (claim, quantity) in found
        }

    def setup(self, left: dict[str, float], gap: str) -> None:
        """Skip what the commit does not have."""
        with skipped_where_missing():
            left[gap]

    def track_gap(self, left: dict[str, float], gap: str) -> float:
        """The gap that the claim leaves."""
        return left[gap]
