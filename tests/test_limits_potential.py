"""Hyperbolic entropy and its minimiser: known values, both ends of alpha, KKT, refusals."""

import mpmath
import numpy as np
import pytest
from scipy.optimize import linprog

from limitpoint.theory.limits import (
    Uncertified,
    hyperbolic_entropy,
    hyperbolic_entropy_gradient,
    kkt_residual,
    min_distance_interpolator,
    min_potential_interpolator,
)
from limitpoint.theory.limits import potential as potential_module

ALPHAS = [1e-6, 1e-4, 1e-2, 1.0, 1e2]


def system(n=4, d=9, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal(n)


def printed_formula(beta, alpha):
    with mpmath.workdps(120):
        z = mpmath.mpf(beta) / mpmath.mpf(alpha) ** 2
        q = 2 - mpmath.sqrt(4 + z**2) + z * mpmath.asinh(z / 2)
        return float(mpmath.mpf(alpha) ** 2 * q)


@pytest.mark.parametrize("beta", [0.0, 1e-20, -3e-9, 1e-3, 0.7, -25.0, 1e12])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_entropy_is_the_printed_formula_in_120_digits(beta, alpha):
    expected = printed_formula(beta, alpha)
    assert hyperbolic_entropy([beta], alpha) == pytest.approx(expected, rel=1e-14, abs=0)


def test_fenchel_young_is_tight_at_the_gradient_only():
    """phi^*(s) = sum_i 2 alpha^2 (cosh s_i - 1) is the convex conjugate."""
    beta, alpha = np.array([0.3, -2.0]), 0.4
    s = hyperbolic_entropy_gradient(beta, alpha)

    def excess(s):
        conjugate = 2 * alpha**2 * (np.cosh(s) - 1).sum()
        return hyperbolic_entropy(beta, alpha) + conjugate - beta @ s

    assert excess(s) == pytest.approx(0.0, abs=1e-14)
    assert excess(s + 1e-2) > 1e-6


def test_entropy_adds_over_coordinates_with_their_own_alpha():
    expected = printed_formula(0.3, 0.1) + printed_formula(-2.0, 3.0)
    assert hyperbolic_entropy([0.3, -2.0], [0.1, 3.0]) == pytest.approx(expected, rel=1e-14)


def test_gradient_is_the_derivative():
    beta, alpha, h = np.array([0.3, -2.0, 0.0]), np.array([0.1, 3.0, 0.5]), 1e-6
    for i, e in enumerate(np.eye(3)):
        rise = hyperbolic_entropy(beta + h * e, alpha) - hyperbolic_entropy(beta - h * e, alpha)
        slope = hyperbolic_entropy_gradient(beta, alpha)[i]
        assert slope == pytest.approx(rise / (2 * h), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("shape", [(4, 9), (10, 40), (6, 6), (9, 5)])
def test_certified_from_1e_6_to_1e2(alpha, shape):
    X, _ = system(*shape)
    y = X[:, :2] @ [1.0, -2.0]
    found = min_potential_interpolator(X, y, alpha)
    np.testing.assert_allclose(X @ found.solution, y, rtol=0, atol=1e-12)
    assert kkt_residual(found.solution, X, alpha) < 1e-13
    beta = 2 * alpha**2 * np.sinh(X.T @ found.dual)
    np.testing.assert_allclose(found.solution, beta, rtol=1e-10, atol=1e-13)


def test_alpha_may_differ_by_coordinate_over_eight_decades():
    X, y = system()
    alpha = np.geomspace(1e-6, 1e2, 9)
    found = min_potential_interpolator(X, y, alpha)
    assert kkt_residual(found.solution, X, alpha) < 1e-13
    assert kkt_residual(found.solution, X, 1.0) > 1e-2


def test_one_equation_in_closed_form():
    found = min_potential_interpolator([[1.0, 1.0]], [3.0], [0.5, 2.0])
    np.testing.assert_allclose(found.solution, 3.0 * np.array([0.25, 4.0]) / 4.25, rtol=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_no_interpolator_has_less_entropy(seed):
    X, y = system(seed=seed)
    found = min_potential_interpolator(X, y, 0.1)
    null = np.linalg.svd(X)[2][4:]
    for step in np.random.default_rng(seed).standard_normal((50, 5)) * 1e-3:
        assert hyperbolic_entropy(found.solution + step @ null, 0.1) > found.value


def test_small_alpha_is_basis_pursuit():
    X, y = system()
    program = linprog(np.ones(18), A_eq=np.hstack([X, -X]), b_eq=y)
    sparse = program.x[:9] - program.x[9:]
    found = min_potential_interpolator(X, y, 1e-6)
    assert np.abs(found.solution).sum() <= program.fun * (1 + 1e-3)
    np.testing.assert_allclose(found.solution, sparse, atol=1e-2)
    assert np.abs(min_potential_interpolator(X, y, 1.0).solution).sum() > program.fun * 1.05


def test_large_alpha_is_least_squares():
    X, y = system()
    least = min_distance_interpolator(X, y).solution
    np.testing.assert_allclose(min_potential_interpolator(X, y, 1e2).solution, least, atol=1e-8)
    assert np.abs(min_potential_interpolator(X, y, 1e-1).solution - least).max() > 1e-2


def test_kkt_residual_tells_the_minimiser_from_another_interpolator():
    X, y = system()
    assert kkt_residual(min_distance_interpolator(X, y).solution, X, 0.1) > 1e-2
    assert kkt_residual(np.zeros(9), X, 0.1) == 0.0


def test_refuses_an_unattainable_y():
    with pytest.raises(Uncertified, match="min-potential interpolator: residual"):
        min_potential_interpolator([[1.0, 2.0], [2.0, 4.0]], [5.0, 11.0], 0.1)


def test_refuses_a_solution_that_is_feasible_but_not_optimal(monkeypatch):
    exact = potential_module._feasible
    X, y = system()
    null = np.linalg.svd(X)[2][-1]
    monkeypatch.setattr(potential_module, "_feasible", lambda *a: exact(*a) + 1e-4 * null)
    with pytest.raises(Uncertified, match="min-potential interpolator: gap"):
        min_potential_interpolator(X, y, 0.1)


@pytest.mark.parametrize("alpha", [0.0, -1.0, np.nan, [[1.0]]])
def test_alpha_must_be_positive(alpha):
    with pytest.raises(ValueError, match="Invalid alpha"):
        min_potential_interpolator([[1.0]], [1.0], alpha)
