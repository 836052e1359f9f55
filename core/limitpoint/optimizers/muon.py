"""Muon: momentum, orthogonalised."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from limitpoint.numerics import Scaled, Value, primitive, scaled, zeros_like
from limitpoint.optimizers.roles import role
from limitpoint.optimizers.rule import Rule, check_range
from limitpoint.optimizers.steepest_descent import matrix_direction, polar_factor
from limitpoint.problems.problem import Oracle

# Coefficients of Jordan et al. 2024: they trade an exact limit for a steep start.
_QUINTIC = (3.4445, -4.7750, 2.0315)


@role("muon", "spectral of an average of gradients, with the exact factor")
@dataclass(frozen=True, eq=False)
class Muon(Rule):
    """M <- b1 M + (1 - b1) grad L(W); W <- W - eta U V^T with M = U S V^T (signgd_adam v4, Sec. 4).

    The theorem's polar factor is exact. Muon as it is used iterates a quintic polynomial instead,
    which leaves the singular values scattered over [.68, 1.13].

    Args:
        beta1: in [0, 1); 0 is spectral descent.
        iterations: of Newton-Schulz instead of the exact polar factor, >= 1, or None.
        weight_decay: lambda >= 0, decoupled.
    """

    beta1: float = 0.9
    iterations: int | None = None
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("beta1", self.beta1, 0.0, 1.0)
        check_range("weight_decay", self.weight_decay, 0.0, float("inf"))
        if self.iterations is not None:
            check_range("iterations", self.iterations, 1, float("inf"))

    def init(self, oracle: Oracle, w: Tensor) -> Scaled:
        """Zero momentum."""
        return zeros_like(w)

    def step(self, oracle: Oracle, w: Tensor, state: Scaled, t: int) -> tuple[Tensor, Any]:
        """One step."""
        m = self.beta1 * state + (1 - self.beta1) * scaled(oracle.grad(w))
        eta = self.step_size.at(t)
        if self.weight_decay:
            w = (1 - eta * self.weight_decay) * w
        return w - eta * self.orthogonal(m), m

    def orthogonal(self, m: Value) -> Tensor:
        """The polar factor of m (*batch, k, d), or what Newton-Schulz makes of it."""
        if self.iterations is None:
            return polar_factor(m)
        return newton_schulz(matrix_direction(m), self.iterations)


@role("muon-ns", "muon as it is used: five Newton-Schulz iterations for the factor")
def NewtonSchulzMuon(step_size: object = 1.0, **settings: Any) -> Muon:
    """Muon with five Newton-Schulz iterations (Jordan et al. 2024, as in torch.optim.Muon)."""
    return Muon(step_size, iterations=5, **settings)  # type: ignore[arg-type]


@primitive
def newton_schulz(m: Tensor, iterations: int = 5) -> Tensor:
    """Iterate X <- a X + b (X X^T) X + c (X X^T)^2 X from X = m / ||m||_F (Jordan et al. 2024).

    Args:
        m: shape (*batch, k, d), not zero.
        iterations: >= 1.
    """
    a, b, c = _QUINTIC
    x = m / torch.linalg.matrix_norm(m, keepdim=True)
    for _ in range(iterations):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x
