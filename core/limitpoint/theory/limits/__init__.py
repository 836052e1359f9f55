"""Certified limits: where theory says a run ends.

Each function returns value, solution, dual certificate and gap, and raises `Uncertified`
rather than return a solution whose gap is above its tolerance. Arrays are numpy float64, in and
out.
"""

from limitpoint.theory.limits._certificate import Uncertified
from limitpoint.theory.limits.interpolation import (
    Interpolator,
    SparseInterpolator,
    min_distance_interpolator,
    min_l1_interpolator,
)
from limitpoint.theory.limits.margin import MaxMargin, NotSeparable, certify_max_margin, max_margin
from limitpoint.theory.limits.norms import Norm, dual_norm_of, norm_of
from limitpoint.theory.limits.potential import (
    PotentialInterpolator,
    hyperbolic_entropy,
    hyperbolic_entropy_gradient,
    kkt_residual,
    min_potential_interpolator,
)

__all__ = [
    "Interpolator",
    "MaxMargin",
    "Norm",
    "NotSeparable",
    "PotentialInterpolator",
    "SparseInterpolator",
    "Uncertified",
    "certify_max_margin",
    "dual_norm_of",
    "hyperbolic_entropy",
    "hyperbolic_entropy_gradient",
    "kkt_residual",
    "max_margin",
    "min_distance_interpolator",
    "min_l1_interpolator",
    "min_potential_interpolator",
    "norm_of",
]
