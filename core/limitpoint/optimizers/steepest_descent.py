"""Normalised steepest descent in a norm, and its famous special cases."""

from dataclasses import dataclass

import torch
from torch import Tensor

from limitpoint.numerics import Value, largest, primitive, ratio, sign
from limitpoint.optimizers.roles import role
from limitpoint.optimizers.rule import Memoryless, check_range
from limitpoint.problems.problem import Oracle


@role("nsd", "the steepest unit step in a p-norm")
@dataclass(frozen=True, eq=False)
class SteepestDescent(Memoryless):
    """w <- w - eta argmax_{||D|| <= 1} <grad L(w), D> (signgd_adam (5)).

    Args:
        p: the entrywise norm, in [1, inf]. 1 is coordinate descent (the first of equal largest
            entries), 2 normalised gradient descent, inf SignGD.
    """

    p: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("p", self.p, 1.0, torch.inf, open_high=False)

    def direction(self, oracle: Oracle, w: Tensor) -> Tensor:
        """sign(g) |g|^(q-1) / ||g||_q^(q-1) with 1/p + 1/q = 1; zero at a zero gradient."""
        g = oracle.grad(w)
        if self.p == torch.inf:
            return sign(g)
        unit = ratio(g, oracle.norm(g, torch.inf))
        if self.p == 1:
            return first_largest(unit, oracle.ndim)
        q = self.p / (self.p - 1)
        power = unit.sign() * unit.abs() ** (q - 1)
        norm = torch.linalg.vector_norm(unit, q, dim=oracle.dims, keepdim=True)
        return ratio(power, norm ** (q - 1))


@role("ngd", "w - eta g / ||g||_2")
def NGD(step_size: object = 1.0) -> SteepestDescent:
    """Normalised gradient descent: w <- w - eta grad L / ||grad L||_2."""
    return SteepestDescent(step_size, p=2.0)  # type: ignore[arg-type]


@role("signgd", "w - eta sign(g)")
def SignGD(step_size: object = 1.0) -> SteepestDescent:
    """w <- w - eta sign(grad L) (signgd_adam (4))."""
    return SteepestDescent(step_size, p=torch.inf)  # type: ignore[arg-type]


@role("cd", "the largest entry of g alone, a step of length eta")
def CoordinateDescent(step_size: object = 1.0) -> SteepestDescent:
    """Steepest coordinate descent: only the largest entry of the gradient, by its sign."""
    return SteepestDescent(step_size, p=1.0)  # type: ignore[arg-type]


@role("spectral", "w - eta U V^T, g = U S V^T")
@dataclass(frozen=True, eq=False)
class SpectralDescent(Memoryless):
    """W <- W - eta U V^T with grad L = U S V^T: steepest descent in the spectral norm.

    Singular values below `rank_tolerance` of the largest count as zero, as the polar factor of a
    rank-deficient matrix is not unique there (signgd_adam v4, Sec. 4: truncated SVD).
    """

    rank_tolerance: float = 1e-12

    def direction(self, oracle: Oracle, w: Tensor) -> Tensor:
        """U V^T."""
        return polar_factor(oracle.grad(w), self.rank_tolerance)


@primitive
def first_largest(x: Tensor, ndim: int) -> Tensor:
    """x with the first of its largest entries alone, over the last `ndim` dimensions."""
    flat = x.flatten(-ndim)
    first = torch.nn.functional.one_hot(flat.abs().argmax(-1), flat.shape[-1])
    return (flat * first).reshape(x.shape)


def polar_factor(g: Value, rank_tolerance: float = 1e-12) -> Tensor:
    """U V^T of g = U S V^T, over the singular values above `rank_tolerance` of the largest.

    Args:
        g: shape (*batch, k, d).
        rank_tolerance: in [0, 1).
    """
    return polar_of(matrix_direction(g), rank_tolerance)


@primitive
def polar_of(x: Tensor, rank_tolerance: float) -> Tensor:
    """`polar_factor` of a plain matrix."""
    left, values, right = torch.linalg.svd(x, full_matrices=False)
    kept = values > rank_tolerance * values[..., :1]
    return (left * kept.unsqueeze(-2)) @ right


def matrix_direction(g: Value) -> Tensor:
    """g (*batch, k, d) up to a positive factor for each matrix, its largest entry one."""
    return ratio(g, largest(g, (-2, -1)))
