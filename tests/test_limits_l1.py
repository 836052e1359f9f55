"""The interpolator of least l1 norm: known cases, certificate, refusals."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limitpoint import problems
from limitpoint.theory.limits import Uncertified, min_l1_interpolator


def test_takes_the_largest_entry_of_one_equation():
    found = min_l1_interpolator([[1.0, 2.0]], [1.0])
    np.testing.assert_allclose(found.solution, [0.0, 0.5], rtol=0, atol=1e-15)
    np.testing.assert_allclose(found.dual, [0.5], rtol=0, atol=1e-15)
    assert found.value == pytest.approx(0.5, rel=1e-15)


@given(st.integers(0, 2**32 - 1))
def test_no_interpolator_is_smaller(seed):
    rng = np.random.default_rng(seed)
    X, anywhere, y = rng.standard_normal((3, 7)), rng.standard_normal(7), rng.standard_normal(3)
    found = min_l1_interpolator(X, y)
    other = anywhere + np.linalg.pinv(X) @ (y - X @ anywhere)
    assert found.value <= np.abs(other).sum() * (1 + 1e-12)
    assert np.abs(X.T @ found.dual).max() <= 1 + 1e-12
    assert np.count_nonzero(np.abs(found.solution) > 1e-9) <= 3


def test_refuses_an_unattainable_y():
    with pytest.raises(Uncertified, match="min-l1 interpolator"):
        min_l1_interpolator([[1.0, 0.0], [2.0, 0.0]], [1.0, 1.0])


def test_sparse_target_is_behind_the_data():
    problem, target = problems.sparse_regression(5, 4, 9), problems.sparse_target(5, 4, 9)
    torch.testing.assert_close(problem.X @ target, problem.y, rtol=0, atol=1e-15)
    assert float(target.norm()) == pytest.approx(1.0, rel=1e-15)
