"""Underdetermined regression: linear models, and diagonal networks on sparse targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from limitpoint.problems.losses import FiniteRootLoss, Squared
from limitpoint.problems.models import DiagonalDifference, DiagonalProduct, Linear
from limitpoint.problems.problem import Problem
from limitpoint.problems.randomness import generator, tensor


def gaussian_regression(
    seed: int,
    n: int = 5,
    d: int = 12,
    *,
    loss: FiniteRootLoss | None = None,
    random_start: bool = False,
) -> Problem:
    """Linear model on Gaussian inputs with attainable targets, n < d; sum loss.

    Args:
        seed: of the data.
        n: examples.
        d: inputs; n < d makes every target attainable.
        loss: of the residual; squared by default.
        random_start: a standard normal start instead of zero.
    """
    rng = generator("gaussian-regression", seed)
    X = rng.standard_normal((n, d))
    y = X @ rng.standard_normal(d)
    start = rng.standard_normal(d) if random_start else np.zeros(d)
    loss = loss or Squared()
    return Problem("gaussian-regression", Linear(), loss, tensor(X), tensor(y), tensor(start))


def one_equation() -> Problem:
    """Figure 1 of usam_report: x = (1, 2), y = 1, l = (u - y)^2, start (1, 1)."""
    return Problem(
        "one-equation",
        Linear(),
        Squared(factor=2.0),
        torch.tensor([[1.0, 2.0]], dtype=torch.float64),
        torch.tensor([1.0], dtype=torch.float64),
        torch.tensor([1.0, 1.0], dtype=torch.float64),
    )


def axis_regression(eigenvalues: Sequence[float]) -> Problem:
    """Least squares with a diagonal Hessian: L(w) = (1/2) sum_j lambda_j w_j^2; w starts at ones.

    Args:
        eigenvalues: lambda > 0, shape (d,).
    """
    roots = np.sqrt(np.asarray(eigenvalues, dtype=float))
    zero, one = np.zeros(len(roots)), np.ones(len(roots))
    return Problem(
        "axis-regression", Linear(), Squared(), tensor(np.diag(roots)), tensor(zero), tensor(one)
    )


def sparse_regression(
    seed: int,
    n: int = 20,
    d: int = 30,
    *,
    sparsity: int = 3,
    alpha: float | Sequence[float] = 0.1,
) -> Problem:
    """Diagonal network w_+^2 - w_-^2 on a sparse noiseless target (understanding_sam Sec. 4.2).

    L = (1/4n) sum_i r_i^2 as in its equation (5), so that dL/dw_+ = (1/n) X^T r * w_+.

    Args:
        seed: of the data.
        n: examples.
        d: inputs.
        sparsity: non-zero entries of the target, positive, of unit Euclidean norm together.
        alpha: w_+ = w_- = alpha at the start, > 0, one number or one a coordinate.
    """
    X, target = _sparse_data(seed, n, d, sparsity)
    return Problem(
        "sparse-regression",
        DiagonalDifference(),
        Squared(mean=True, factor=0.5),
        tensor(X),
        tensor(X @ target),
        tensor(np.broadcast_to(np.asarray(alpha), (2, d))),
    )


def sparse_target(seed: int, n: int = 20, d: int = 30, *, sparsity: int = 3) -> torch.Tensor:
    """The predictor behind the data of `sparse_regression` with the same arguments, shape (d,).

    Inputs are standard normal, so the expected loss of beta is |beta - target|^2 / 4.
    """
    return tensor(_sparse_data(seed, n, d, sparsity)[1])


def _sparse_data(seed: int, n: int, d: int, sparsity: int) -> tuple[np.ndarray, np.ndarray]:
    rng = generator("sparse-regression", seed)
    X = rng.standard_normal((n, d))
    target = np.zeros(d)
    target[:sparsity] = np.abs(rng.standard_normal(sparsity)) + 0.1
    return X, target / np.linalg.norm(target)


def overshooting_regression() -> Problem:
    """Three equations on which the flow of 1-SAM with radius 4 makes the weights' product grow.

    The radius is hundreds of times above the bound of understanding_sam's Theorem 5, and the flow
    ends at no interpolator. Found by a search; it starts at scale 1/2.
    """
    inputs = [[2.0, 0.0, 1.5, -0.5], [1.5, -1.0, -2.0, 1.5], [2.0, -1.0, 0.0, 2.0]]
    return Problem(
        "overshooting-regression",
        DiagonalDifference(),
        Squared(mean=True, factor=0.5),
        torch.tensor(inputs, dtype=torch.float64),
        torch.tensor([-4.5, 2.0, 12.5], dtype=torch.float64),
        torch.full((2, 4), 0.5, dtype=torch.float64),
    )


def authors_sparse_regression(
    u: float = 0.1, *, n: int = 20, d: int = 30
) -> tuple[Problem, Problem]:
    """Training and test problem of the authors' notebook for understanding_sam.

    beta = u * v from (u, v) = (u_0, 0), loss |X beta - y|^2 / 2n, and numpy's legacy stream of
    seed 0: training inputs, 1000 test inputs, target, in that order.

    Args:
        u: the start of the first layer, u_0.
        n: training examples.
        d: inputs.
    """
    stream = np.random.RandomState(0)
    X = stream.multivariate_normal(np.zeros(d), np.eye(d), n)
    X_test = stream.multivariate_normal(np.zeros(d), np.eye(d), 1000)
    target = stream.randn(d)
    target[3:] = 0
    target = np.abs(target) / np.linalg.norm(target)
    start = np.stack([np.full(d, u), np.zeros(d)])

    def problem(name: str, inputs: np.ndarray) -> Problem:
        loss = Squared(mean=True)
        y = tensor(inputs @ target)
        return Problem(name, DiagonalProduct(), loss, tensor(inputs), y, tensor(start))

    return problem("authors-train", X), problem("authors-test", X_test)
