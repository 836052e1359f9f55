"""Losses and their slopes, against mpmath, far below float64's range too."""

import math

import mpmath as mp
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mpf

from limitpoint.problems.losses import (
    CrossEntropy,
    Exponential,
    Logistic,
    MulticlassExponential,
    PairLogLoss,
    Probit,
    log_softplus,
)

EPS = 2.0**-53
# One slow first call, of torch or of mpmath, is no failure.
unhurried = settings(deadline=None)


@pytest.fixture(autouse=True)
def fifty_digits():
    with mp.workdps(50):
        yield


@unhurried
@given(st.floats(-2e4, 2e4))
def test_log_softplus_to_rounding(u):
    expected = mp.log(mp.log1p(mp.exp(mpf(u))))
    measured = log_softplus(torch.tensor(u, dtype=torch.float64)).item()
    assert abs(measured - float(expected)) <= 8 * EPS * max(1, abs(u))


@pytest.mark.parametrize(("loss", "derivative", "digits"), [
    (Logistic(), lambda z: 1 / (1 + mp.exp(z)), lambda z: 4),
    (Exponential(), lambda z: mp.exp(-z), lambda z: 4),
    # The square is of the size of z^2 / 2, and so, but for log(sqrt(2 pi) |z|), is log Phi, which
    # torch gives to four ulps (3.4 at most on 6000 points), eight units.
    (Probit(), lambda z: mp.npdf(z) / mp.ncdf(z),
     lambda z: 4 + 9 * z**2 / 2 + 8 * (1 + math.log1p(abs(z)))),
])  # fmt: skip
@unhurried
@given(st.floats(-60, 60) | st.floats(-1e4, 1e4))
def test_the_decline_of_a_margin_loss(loss, derivative, digits, z):
    if isinstance(loss, Probit):
        z = max(-60.0, min(z, 60.0))
    found = loss.decline(torch.tensor([z], dtype=torch.float64))
    expected = derivative(mpf(z))
    got = mpf(found.mantissa.item()) * mpf(2) ** int(found.exponent.item())
    assert abs(got - expected) <= digits(z) * EPS * expected
    assert loss.log_slope(torch.tensor([z], dtype=torch.float64)).item() == pytest.approx(
        float(mp.log(expected)), rel=1e-12, abs=1e-12
    )


@pytest.mark.parametrize("loss", [CrossEntropy(), MulticlassExponential(), PairLogLoss()])
@unhurried
@given(st.integers(0, 10**6), st.floats(1, 3000))
def test_residuals_sum_to_zero_far_below_1e_16(loss, seed, size):
    """Per example, the true class's residual is minus the others' sum, whatever the loss."""
    noise = torch.Generator().manual_seed(seed)
    logits = torch.randn((1, 5), generator=noise, dtype=torch.float64)
    logits[0, 2] += size
    log_abs = loss.slope(logits, torch.tensor([2])).log_abs()[0]
    others = torch.logsumexp(log_abs[[0, 1, 3, 4]], dim=0)
    assert log_abs[2].item() == pytest.approx(others.item(), abs=16 * EPS * (1 + size))
    signs = loss.slope(logits, torch.tensor([2])).mantissa[0].sign()
    assert signs.tolist() == [1, 1, -1, 1, 1]


@pytest.mark.parametrize(("loss", "residual"), [
    (CrossEntropy(), lambda powers, c: powers[c] / (1 + mp.fsum(powers))),
    (MulticlassExponential(), lambda powers, c: powers[c]),
    (PairLogLoss(), lambda powers, c: powers[c] / (1 + powers[c])),
])  # fmt: skip
@unhurried
@given(st.lists(st.floats(-2e3, 2e3), min_size=2, max_size=4))
def test_residuals_keep_every_digit_whatever_their_sizes(loss, residual, gaps):
    powers = [mp.exp(mpf(gap)) for gap in gaps]
    logits = torch.tensor([[0.0, *gaps]], dtype=torch.float64)
    found = loss.slope(logits, torch.tensor([0]))
    for c in range(len(gaps)):
        got = mpf(found.mantissa[0, c + 1].item()) * mpf(2) ** int(found.exponent[0, c + 1].item())
        expected = residual(powers, c)
        assert abs(got - expected) <= 16 * EPS * expected


@unhurried
@given(st.floats(1, 700))
def test_the_true_classs_residual_is_softmax_minus_one(size):
    """At 700 digits `p - 1` still has 396 of them; in float64 it is zero from a loss of 1e-16."""
    logits = [0.3, size, -0.7]
    with mp.workdps(700):
        powers = [mp.exp(mpf(u)) for u in logits]
        expected = mp.log(1 - powers[1] / mp.fsum(powers))
    slope = CrossEntropy().slope(torch.tensor([logits], dtype=torch.float64), torch.tensor([1]))
    assert slope.log_abs()[0, 1].item() == pytest.approx(float(expected), abs=16 * EPS * (1 + size))
