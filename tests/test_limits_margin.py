"""The maximum margin: closed forms, both bounds against random candidates, refusals."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limitpoint.theory.limits import (
    NotSeparable,
    Uncertified,
    certify_max_margin,
    dual_norm_of,
    max_margin,
    norm_of,
)
from limitpoint.theory.limits.norms import norming

NORMS = [1, 1.5, 2, 3, np.inf, "spectral", "nuclear"]
FAST = [1, 2, np.inf]


def binary(n=12, d=5, seed=0):
    rng = np.random.default_rng(seed)
    y = np.where(np.arange(n) % 2, 1, -1)
    return np.outer(y, rng.standard_normal(d)) + 0.3 * rng.standard_normal((n, d)), y


def multiclass(k=3, n=12, d=5, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    return rng.standard_normal((k, d))[y] + 0.2 * rng.standard_normal((n, d)), y


def naive_margin(X, y, W):
    return min(
        (W[own] - W[c]) @ x for x, own in zip(X, y, strict=True) for c in range(len(W)) if c != own
    )


@pytest.mark.parametrize("norm", NORMS)
def test_one_point_has_the_dual_norm_as_margin(norm):
    x = np.array([3.0, -4.0, 0.5])
    found = max_margin([x], [1], norm)
    assert found.value == pytest.approx(dual_norm_of(x, norm), rel=1e-8)
    assert norm_of(found.solution, norm) == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize(
    ("norm", "gamma"),
    [(1, 0.5), (1.5, 2 ** (-2 / 3)), (2, 2**-0.5), (np.inf, 1.0), ("spectral", 2**-0.5)],
)
def test_two_axes(norm, gamma):
    found = max_margin(np.eye(2), [1, 1], norm)
    assert found.value == pytest.approx(gamma, rel=1e-8)
    if norm != np.inf:  # there every weighting is optimal
        np.testing.assert_allclose(found.dual, [0.5, 0.5], atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_two_classes_one_sample_each_on_one_axis(norm):
    """W = (a, -a), samples +1 and -1: the margin is 2a with ||(a, -a)|| = 1."""
    found = max_margin([[1.0], [-1.0]], [0, 1], norm, classes=2)
    assert found.value == pytest.approx(2.0 / norm_of([[1.0], [-1.0]], norm), rel=1e-8)


def test_spectral_and_nuclear_on_orthogonal_classes():
    """X = I_k: W = s (I - 11^T/k) has margins s, spectral norm s, nuclear norm s (k - 1)."""
    k = 4
    X, y = np.eye(k), np.arange(k)
    assert max_margin(X, y, "spectral", classes=k).value == pytest.approx(1.0, rel=1e-7)
    assert max_margin(X, y, "nuclear", classes=k).value == pytest.approx(1 / (k - 1), rel=1e-7)
    assert max_margin(X, y, 2, classes=k).value == pytest.approx((k - 1) ** -0.5, rel=1e-12)
    assert max_margin(X, y, np.inf, classes=k).value == pytest.approx(2.0, rel=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_bounds_recomputed_the_naive_way(norm):
    X, y = multiclass()
    found = max_margin(X, y, norm, classes=3)
    assert naive_margin(X, y, found.solution) == pytest.approx(found.value, rel=1e-13)
    pull = sum(
        found.dual[n, c] * np.outer(np.eye(3)[y[n]] - np.eye(3)[c], X[n])
        for n in range(12)
        for c in range(3)
    )
    assert dual_norm_of(pull, norm) == pytest.approx(found.upper, rel=1e-13)
    assert (found.dual >= 0).all()
    assert found.dual.sum() == pytest.approx(1.0, rel=1e-14)
    assert (found.dual[np.arange(12), y] == 0).all()
    assert found.gap <= 1e-7 * found.upper


@pytest.mark.parametrize("norm", NORMS)
def test_no_random_parameter_beats_the_upper_bound(norm):
    X, y = multiclass()
    found = max_margin(X, y, norm, classes=3)

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e-6, 1e-3, 0.1, 1.0]))
    def never_beats(seed, noise):
        W = found.solution + noise * np.random.default_rng(seed).standard_normal((3, 5))
        assert naive_margin(X, y, W / norm_of(W, norm)) <= found.upper * (1 + 1e-14)

    never_beats()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(FAST), st.sampled_from([2.0**-20, 8.0, 2.0**30]))
def test_margin_scales_with_the_data(seed, norm, scale):
    X, y = multiclass(seed=seed)
    try:
        found = max_margin(X, y, norm, classes=3)
    except NotSeparable:
        return
    scaled = max_margin(scale * X, y, norm, classes=3)
    assert scaled.value == pytest.approx(scale * found.value, rel=1e-9)


def test_scales_of_hand():
    assert max_margin([[2.0, 0.0], [0.0, 2.0]], [1, 1], 2).value == pytest.approx(2**0.5)


@pytest.mark.parametrize("seed", range(20))
def test_norm_2_is_exact_to_1e_12(seed):
    X, y = binary(n=30, d=6, seed=seed)
    found = max_margin(X, y, 2, tol=1e-12)
    w, alpha = found.svm, found.multipliers
    np.testing.assert_allclose(w, (alpha * y) @ X, rtol=0, atol=1e-12 * np.linalg.norm(w))
    margins = y * (X @ w)
    assert margins.min() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(margins[found.support], 1.0, rtol=0, atol=1e-11)
    assert (alpha >= 0).all()
    assert (alpha[~found.support] == 0).all()
    assert alpha.sum() == pytest.approx(w @ w, rel=1e-11)


def test_norm_2_over_many_working_sets():
    X, y = multiclass(k=6, n=300, d=12, seed=3)
    found = max_margin(X, y, 2, classes=6, tol=1e-12)
    assert found.dual.shape == (300, 6)
    assert 1 < found.support.sum() < 100


@pytest.mark.parametrize("scale", [2.0**-60, 2.0**60])
def test_norm_2_is_as_exact_in_other_units(scale):
    X, y = multiclass(k=6, n=300, d=12, seed=3)
    found = max_margin(scale * X, y, 2, classes=6, tol=1e-12)
    assert found.value == pytest.approx(scale * max_margin(X, y, 2, classes=6).value, rel=1e-12)


def test_norm_2_of_two_classes_is_the_binary_problem():
    """W = (w, -w)/sqrt 2 up to a common shift: gamma_2(W) = sqrt(2) gamma_2(w)."""
    X, y = binary()
    two = max_margin(X, (1 - y) // 2, 2, classes=2)
    assert two.value == pytest.approx(2**0.5 * max_margin(X, y, 2).value, rel=1e-12)


def test_margins_order_as_the_norms_do():
    X, y = multiclass()
    gamma = {norm: max_margin(X, y, norm, classes=3).value for norm in NORMS}
    assert gamma[1] < gamma[1.5] < gamma[2] < gamma[3] < gamma[np.inf]
    assert gamma["nuclear"] < gamma[2] < gamma["spectral"] < gamma[np.inf]
    assert gamma[1] < gamma["nuclear"]


@pytest.mark.parametrize("norm", NORMS)
def test_refuses_data_that_are_not_separable(norm):
    with pytest.raises(NotSeparable, match="not linearly separable"):
        max_margin([[1.0, 0.5], [2.0, 1.0], [-1.0, 0.3]], [1, -1, 1], norm)
    X = np.random.default_rng(0).standard_normal((30, 2))
    with pytest.raises(NotSeparable, match="not linearly separable"):
        max_margin(X, np.arange(30) % 3, norm, classes=3)


@pytest.mark.parametrize("norm", NORMS)
def test_certificate_accepts_the_optimum_in_any_scale(norm):
    X, y = multiclass()
    found = max_margin(X, y, norm, classes=3)
    again = certify_max_margin(X, y, norm, 7 * found.solution, 3 * found.dual, classes=3)
    assert again.upper == pytest.approx(found.upper, rel=1e-13)


@pytest.mark.parametrize("norm", NORMS)
def test_certificate_refuses_a_corrupted_dual(norm):
    X, y = multiclass()
    found = max_margin(X, y, norm, classes=3)
    dual = found.dual + 0.01 * np.random.default_rng(0).random(found.dual.shape)
    with pytest.raises(Uncertified, match=r"max margin \(norm .*\): gap"):
        certify_max_margin(X, y, norm, found.solution, dual, classes=3)


@pytest.mark.parametrize("norm", NORMS)
def test_certificate_refuses_a_corrupted_solution(norm):
    X, y = multiclass(k=4, n=20)
    found = max_margin(X, y, norm, classes=4)
    W = found.solution + 0.01 * np.random.default_rng(0).standard_normal(found.solution.shape)
    with pytest.raises(Uncertified, match=r"max margin \(norm .*\): gap"):
        certify_max_margin(X, y, norm, W, found.dual, classes=4)


def test_certificate_refuses_the_limit_of_another_norm():
    X, y = multiclass()
    found = max_margin(X, y, 2, classes=3)
    with pytest.raises(Uncertified):
        certify_max_margin(X, y, np.inf, found.solution, found.dual, classes=3)


def test_certificate_refuses_an_empty_dual():
    with pytest.raises(Uncertified, match="no positive weight"):
        certify_max_margin([[1.0]], [1], 2, [1.0], [-1.0])


def test_a_tolerance_out_of_reach_is_refused():
    X, y = multiclass()
    with pytest.raises(Uncertified):
        max_margin(X, y, "nuclear", classes=3, tol=1e-18)


@pytest.mark.parametrize(
    ("X", "y", "norm", "classes"),
    [
        ([[1.0]], [0], 2, None),
        ([[1.0]], [3], 2, 3),
        ([[1.0]], [0.5], 2, 3),
        ([[1.0]], [0], 2, 1),
        ([[1.0]], [1, 1], 2, None),
        ([[np.inf]], [1], 2, None),
        ([[1.0]], [1], 0.5, None),
        ([[1.0]], [1], np.nan, None),
        ([[1.0]], [1], "frobenius", None),
    ],
)
def test_wrong_input_is_a_value_error(X, y, norm, classes):
    with pytest.raises(ValueError, match="Invalid"):
        max_margin(X, y, norm, classes=classes)


def test_multipliers_are_those_of_norm_2_only():
    with pytest.raises(ValueError, match="norm 2"):
        _ = max_margin(np.eye(2), [1, 1], 1).multipliers


def test_accepts_torch():
    found = max_margin(torch.eye(2), torch.tensor([1, 1]), 2)
    assert found.solution.dtype == np.float64


@given(st.integers(0, 2**32 - 1), st.sampled_from([*NORMS, 1.01, 17.0]))
def test_dual_norm_bounds_the_pairing(seed, norm):
    A, B = np.random.default_rng(seed).standard_normal((2, 3, 4))
    assert abs((A * B).sum()) <= norm_of(A, norm) * dual_norm_of(B, norm) * (1 + 1e-14)


@given(st.integers(0, 2**32 - 1), st.sampled_from([*NORMS, 1.01, 17.0]), st.booleans())
def test_a_parameter_that_reaches_the_dual_norm(seed, norm, of_rank_one):
    a, b, *rest = np.random.default_rng(seed).standard_normal((5, 4))
    G = np.outer(a, b) if of_rank_one else np.stack(rest)
    W = norming(G, norm)
    assert norm_of(W, norm) <= 1 + 1e-14
    assert (W * G).sum() == pytest.approx(dual_norm_of(G, norm), rel=1e-13)


def test_norms_of_a_known_matrix():
    A = np.array([[3.0, 0.0], [0.0, -4.0]])
    assert [norm_of(A, p) for p in (1, 2, np.inf, "spectral", "nuclear")] == [7, 5, 4, 4, 7]
    assert [dual_norm_of(A, p) for p in (1, 2, np.inf, "spectral", "nuclear")] == [4, 5, 7, 7, 4]
    assert norm_of(1e300 * A, 2) == pytest.approx(5e300)
