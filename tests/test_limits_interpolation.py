"""The nearest interpolator: known cases, certificate, refusals."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limitpoint.theory.limits import Uncertified, min_distance_interpolator


def test_projects_the_start_onto_a_line():
    found = min_distance_interpolator([[1.0, 2.0]], [1.0], [1.0, 1.0])
    np.testing.assert_allclose(found.solution, [0.6, 0.2], rtol=0, atol=1e-15)
    np.testing.assert_allclose(found.dual, [-0.4], rtol=0, atol=1e-15)
    assert found.value == pytest.approx(0.4, rel=1e-15)


def test_starts_at_zero_by_default():
    found = min_distance_interpolator([[3.0, 4.0]], [5.0])
    np.testing.assert_allclose(found.solution, [0.6, 0.8], rtol=1e-15)


def test_a_start_that_interpolates_is_the_limit():
    found = min_distance_interpolator([[1.0, 2.0]], [3.0], [1.0, 1.0])
    np.testing.assert_array_equal(found.solution, [1.0, 1.0])
    assert found.gap == 0.0


@given(st.integers(0, 2**32 - 1))
def test_no_interpolator_is_nearer(seed):
    rng = np.random.default_rng(seed)
    X, start, anywhere = rng.standard_normal((3, 7)), *rng.standard_normal((2, 7))
    y = rng.standard_normal(3)
    found = min_distance_interpolator(X, y, start)
    other = anywhere + np.linalg.pinv(X) @ (y - X @ anywhere)
    assert np.linalg.norm(found.solution - start) <= np.linalg.norm(other - start)
    np.testing.assert_allclose(found.solution - start, X.T @ found.dual, atol=1e-12)


@pytest.mark.parametrize("scale", [2.0**-40, 2.0**40])
def test_other_units_lose_no_digit(scale):
    rng = np.random.default_rng(18)
    X, y = rng.standard_normal((5, 12)), rng.standard_normal(5)
    found = min_distance_interpolator(scale * X, y)
    plain = min_distance_interpolator(X, y).solution
    assert found.residual <= 1e-14 * np.linalg.norm(y)
    np.testing.assert_allclose(scale * found.solution, plain, rtol=0, atol=1e-14)


def test_rank_deficient_but_attainable():
    X = np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0]])
    found = min_distance_interpolator(X, [5.0, 10.0])
    np.testing.assert_allclose(found.solution, [1.0, 2.0, 0.0], atol=1e-14)


def test_refuses_an_unattainable_y():
    with pytest.raises(Uncertified, match="min-distance interpolator: residual"):
        min_distance_interpolator([[1.0, 2.0], [2.0, 4.0]], [5.0, 11.0])


def test_refuses_a_tolerance_below_rounding():
    rng = np.random.default_rng(0)
    with pytest.raises(Uncertified):
        min_distance_interpolator(rng.standard_normal((20, 30)), rng.standard_normal(20), tol=1e-18)


@pytest.mark.parametrize(
    ("X", "y", "start"),
    [
        ([[1.0, 2.0]], [1.0, 2.0], None),
        ([1.0, 2.0], [1.0], None),
        ([[1.0, np.nan]], [1.0], None),
        ([[1.0, 2.0]], [1.0], [1.0]),
    ],
)
def test_wrong_input_is_a_value_error(X, y, start):
    with pytest.raises(ValueError, match="Invalid"):
        min_distance_interpolator(X, y, start)


def test_accepts_torch():
    found = min_distance_interpolator(torch.tensor([[3.0, 4.0]]), torch.tensor([5.0]))
    assert found.solution.dtype == np.float64
