"""Data built from their support vectors are what they say, and the certificate finds it."""

import numpy as np
import pytest
import torch

from limitpoint import limits
from limitpoint.problems import lopsided, support_simplex


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("d", "n"), [(2, 2), (2, 9), (4, 12), (7, 10)])
def test_the_first_d_examples_are_the_support(seed, d, n):
    problem = support_simplex(seed, d, n)
    svm = limits.max_margin(problem.X, problem.y, norm=2)
    assert svm.value == pytest.approx(1.0, abs=1e-12)
    assert svm.support.tolist() == [True] * d + [False] * (n - d)
    assert svm.multipliers.sum() == pytest.approx(1.0, abs=1e-12)
    weights = svm.multipliers[:d] * d
    assert weights.min() > 0.7 / 1.3
    assert weights.max() < 1.3 / 0.7


@pytest.mark.parametrize("seed", range(5))
def test_the_rates_are_those_promised(seed):
    problem = support_simplex(seed, theta=2.5)
    svm = limits.max_margin(problem.X, problem.y, norm=2)
    margins = problem.margins(torch.from_numpy(svm.svm)).numpy()
    assert np.allclose(margins[:4], 1.0, atol=1e-12)
    assert margins[4:].min() >= 2.5 - 1e-12
    assert margins[4:].max() <= 3.5 + 1e-12
    X = problem.X.numpy()
    slowest = np.linalg.eigvalsh((svm.multipliers[:, None] * X).T @ X)[:2]
    assert slowest == pytest.approx([1.0, 1.25], abs=1e-12)


def test_a_flat_direction_has_entries_within_the_spread():
    for seed in range(10):
        problem = support_simplex(seed, d=6, spread=0.2)
        size = np.abs(limits.max_margin(problem.X, problem.y, norm=2).svm)
        assert size.max() / size.min() <= 1.2 + 1e-9


@pytest.mark.parametrize(
    "wrong", [{"d": 1, "n": 3}, {"d": 4, "n": 3}, {"theta": 1.0}, {"theta": float("nan")}]
)
def test_impossible_shapes_are_refused(wrong):
    with pytest.raises(ValueError, match="must be d >= 2"):
        support_simplex(0, **wrong)


def test_lopsided_has_the_solution_it_names():
    problem = lopsided()
    svm = limits.max_margin(problem.X, problem.y, norm=2)
    assert svm.svm == pytest.approx([1.0, 0.0], abs=1e-12)
    assert svm.multipliers == pytest.approx([0.5, 0.5, 0.0], abs=1e-12)
