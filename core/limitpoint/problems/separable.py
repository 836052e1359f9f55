"""Linearly separable classification."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from limitpoint.losses import CrossEntropy, Logistic, MarginLoss, MulticlassLoss
from limitpoint.models import DiagonalProduct, MulticlassLinear
from limitpoint.problem import Problem
from limitpoint.problems._random import generator, tensor


def clusters(
    seed: int,
    k: int = 5,
    d: int = 25,
    per_class: int = 10,
    sigma: float = 0.3,
    *,
    loss: MulticlassLoss | None = None,
) -> Problem:
    """Gaussian clusters around Gaussian centres, scaled to max_i ||x_i||_1 = 1; W starts at zero.

    The generator of signgd_adam's experiments (its Sec. "Experiments"; FACTS 1.7). Separability is
    for the certified margin to decide, not assumed.

    Args:
        seed: of the data.
        k: classes.
        d: inputs.
        per_class: examples of each class.
        sigma: standard deviation within a class; the centres' is 1.
        loss: of the logits; cross-entropy by default.
    """
    rng = generator("clusters", seed)
    y = np.repeat(np.arange(k), per_class)
    X = rng.standard_normal((k, d))[y] + sigma * rng.standard_normal((len(y), d))
    X /= np.abs(X).sum(axis=1).max()
    start = torch.zeros((k, d), dtype=torch.float64)
    loss = loss or CrossEntropy()
    return Problem("clusters", MulticlassLinear(), loss, tensor(X), tensor(y), start)


def digits(n: int = 100) -> Problem:
    """The first n of scikit-learn's 8x8 digits, pixels in [0, 1], scaled to max ||x_i||_1 = 1."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = X[:n] / np.abs(X[:n]).sum(axis=1).max()
    start = torch.zeros((10, X.shape[1]), dtype=torch.float64)
    return Problem("digits", MulticlassLinear(), CrossEntropy(), tensor(X), tensor(y[:n]), start)


def one_example(
    mu: Sequence[float],
    alpha: float | Sequence[float],
    depth: int = 2,
    *,
    loss: MarginLoss | None = None,
) -> Problem:
    """D_mu = {(mu, +1)} for a diagonal network of a given depth, every layer started at alpha.

    Args:
        mu: the example, 0 < mu_1 < ... < mu_d.
        alpha: start of each layer, one number or one a coordinate (minor_first, Sec. 3 and 4).
        depth: number of layers L.
        loss: logistic by default.
    """
    x = torch.tensor([list(mu)], dtype=torch.float64)
    layer = torch.as_tensor(alpha, dtype=torch.float64).expand(x.shape[-1])
    y = torch.ones(1, dtype=torch.float64)
    loss = loss or Logistic()
    return Problem("one-example", DiagonalProduct(), loss, x, y, layer.expand(depth, -1).clone())
