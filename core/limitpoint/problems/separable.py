"""Linearly separable classification."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from limitpoint.problems.losses import CrossEntropy, Logistic, MarginLoss, MulticlassLoss
from limitpoint.problems.models import DiagonalProduct, MulticlassLinear
from limitpoint.problems.problem import Problem
from limitpoint.problems.randomness import generator, tensor


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

    The generator of signgd_adam's experiments (its Sec. "Experiments"). Separability is
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


def wide_layer(seed: int, width: int, k: int, examples: int) -> Problem:
    """Gaussian inputs of a width, each of a class of its own; cross-entropy, W starts at zero.

    Their lengths fall to a quarter of the first's, and with them the singular values of a gradient.

    Args:
        seed: of the inputs.
        width: inputs of the layer, d.
        k: outputs, at least as many as examples.
        examples: n.
    """
    X = generator("wide-layer", seed).standard_normal((examples, width))
    X *= np.linspace(1.0, 0.25, examples)[:, None]
    start = torch.zeros((k, width), dtype=torch.float64)
    y = torch.arange(examples)
    return Problem("wide-layer", MulticlassLinear(), CrossEntropy(), tensor(X), y, start)


def digits(n: int = 100) -> Problem:
    """The first n of scikit-learn's 8x8 digits, pixels in [0, 1], scaled to max ||x_i||_1 = 1."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = X[:n] / np.abs(X[:n]).sum(axis=1).max()
    start = torch.zeros((10, X.shape[1]), dtype=torch.float64)
    return Problem("digits", MulticlassLinear(), CrossEntropy(), tensor(X), tensor(y[:n]), start)


def mirrored_pair(seed: int, d: int = 6, *, loss: MulticlassLoss | None = None) -> Problem:
    """An example x of the first class and -x of the second, max |x|_1 = 1; W starts at zero.

    All constraints (e_y - e_c) x_i^T are one matrix, so that each inequality of signgd_adam that
    can be attained is attained here.

    Args:
        seed: of the data.
        d: inputs.
        loss: of the logits; cross-entropy by default.
    """
    x = generator("mirrored-pair", seed).standard_normal(d)
    x /= np.abs(x).sum()
    X, y = np.stack([x, -x]), np.arange(2)
    start = torch.zeros((2, d), dtype=torch.float64)
    loss = loss or CrossEntropy()
    return Problem("mirrored-pair", MulticlassLinear(), loss, tensor(X), tensor(y), start)


def axes(k: int = 2, *, loss: MulticlassLoss | None = None) -> Problem:
    """One example a class, the unit vectors: every matrix of margins is that of some W.

    Args:
        k: classes, examples and inputs.
        loss: of the logits; cross-entropy by default.
    """
    X, start = torch.eye(k, dtype=torch.float64), torch.zeros((k, k), dtype=torch.float64)
    return Problem("axes", MulticlassLinear(), loss or CrossEntropy(), X, torch.arange(k), start)


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


def drawn_mu(seed: int, d: int = 5) -> list[float]:
    """An example for `one_example`: mu_1 in [1, 2], neighbours 0.5 to 1 apart, increasing."""
    rng = generator("drawn-mu", seed)
    return np.cumsum(np.concatenate([rng.uniform(1, 2, 1), rng.uniform(0.5, 1, d - 1)])).tolist()


def threshold_example(
    seed: int, depth: int = 2, *, sides: Sequence[int] = (-1, -1, 0, 0, 1, 1), rho: float = 1.0
) -> Problem:
    """One example whose coordinates start below, at and above rho, in random order.

    Args:
        seed: of mu (`drawn_mu`) and of the starts.
        depth: number of layers L.
        sides: one a coordinate: -1 starts in [.3, .8] rho, 0 at rho, 1 in [1.1, 1.5] rho.
        rho: the radius of linf-SAM that the starts are measured by.
    """
    rng = generator("threshold-example", seed)
    order = rng.permutation(sides)
    low, high = rng.uniform(0.3, 0.8, len(order)), rng.uniform(1.1, 1.5, len(order))
    ratios = np.where(order < 0, low, np.where(order > 0, high, 1.0))
    return one_example(drawn_mu(seed, len(order)), (rho * ratios).tolist(), depth)


def sparse_margin(seed: int, d: int = 5, *, alpha: float = 1.0) -> Problem:
    """Positive examples whose l1 max-margin direction has two entries, for a depth-two network.

    Two examples are active. On the first two coordinates they are (1, r_1) and (r_2, 1), so that
    the direction and its dual are positive multiples of (1 - r_1, 1 - r_2) and (1 - r_2, 1 - r_1);
    the other coordinates have less than half of the margin each, and a third example is not active.

    Args:
        seed: of the data.
        d: inputs, >= 3.
        alpha: start of both layers.
    """
    rng = generator("sparse-margin", seed)
    r = rng.uniform(0.1, 0.5, 2)
    support = np.array([[1.0, r[0]], [r[1], 1.0], [3.0, 3.0]])
    X = np.hstack([support, rng.uniform(0.05, 0.3, (3, d - 2))])
    start = torch.full((2, d), alpha, dtype=torch.float64)
    y = torch.ones(3, dtype=torch.float64)
    return Problem("sparse-margin", DiagonalProduct(), Logistic(), tensor(X), y, start)
