"""Two digits side by side: a major feature and a minor one, on real pixels."""

from __future__ import annotations

import numpy as np
import torch

from limitpoint.problems.losses import Logistic
from limitpoint.problems.models import DiagonalDifference
from limitpoint.problems.problem import Problem
from limitpoint.problems.randomness import generator, tensor


def two_digits(seed: int, n: int = 60, *, faint: float = 0.5, alpha: float = 0.1) -> Problem:
    """Pictures 8 x 16 of two zeros or two ones of scikit-learn's digits, the right one fainter.

    A diagonal network of depth two, logistic loss. The last 64 inputs are the minor half.

    Args:
        seed: of the sample.
        n: pictures, half of each class.
        faint: brightness of the right digit relative to the left one's.
        alpha: start of all weights.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    rng = generator("two-digits", seed)
    rows = [rng.permutation(np.flatnonzero(labels == label))[:n] for label in (0, 1)]
    pairs = pixels[np.stack(rows).reshape(n, 2)] / 16 * np.array([1.0, faint])[:, None]
    y = np.repeat([-1.0, 1.0], n // 2)
    start = torch.full((2, 128), alpha, dtype=torch.float64)
    X = tensor(pairs.reshape(n, 128))
    return Problem("two-digits", DiagonalDifference(), Logistic(mean=True), X, tensor(y), start)
