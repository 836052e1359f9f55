"""Plain functions with known constants."""

from __future__ import annotations

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from limitpoint.problem import Objective


def quadratic(eigenvalues: Tensor) -> Objective:
    """L(w) = (1/2) sum_j lambda_j w_j^2; beta-smooth and mu-PL with its extreme eigenvalues."""
    constants = {
        "beta": float(eigenvalues.max()),
        "pl": float(eigenvalues[eigenvalues > 0].min()),
        "minimum": 0.0,
    }
    return Objective(
        "quadratic",
        lambda w: (eigenvalues * w**2).sum(-1) / 2,
        lambda w: eigenvalues * w,
        constants,
    )


def sine_valley(amplitude: float = 3.0) -> Objective:
    """L(w) = sum_j w_j^2 + a sin^2 w_j: not convex for a > 1, yet Polyak-Lojasiewicz (Karimi 2016).

    beta = 2 + 2a. The PL constant min L'^2 / 2L is found by bounded minimisation on (0, 4pi) in
    one dimension, which is enough: L' / 2w -> 1 and L / w^2 -> 1 beyond, and for a separable sum
    the constant is that of its summands. For a = 3 it is 0.17553, not the 1/32 often quoted.
    """

    def ratio(w: float) -> float:
        x = torch.tensor(w, dtype=torch.float64)
        slope = 2 * x + amplitude * torch.sin(2 * x)
        return float(slope**2 / (2 * (x**2 + amplitude * torch.sin(x) ** 2)))

    grid = torch.linspace(0.05, 4 * torch.pi, 200, dtype=torch.float64).tolist()
    best = min(grid, key=ratio)
    found = minimize_scalar(ratio, bounds=(best - 0.1, best + 0.1), method="bounded")
    constants = {"beta": 2 + 2 * amplitude, "pl": float(found.fun) * (1 - 1e-9), "minimum": 0.0}
    return Objective(
        "sine-valley",
        lambda w: (w**2 + amplitude * torch.sin(w) ** 2).sum(-1),
        lambda w: 2 * w + amplitude * torch.sin(2 * w),
        constants,
    )
