"""Adam's moments seen from outside, and prescribed gradients, against the rule itself."""

import math

import pytest
import torch

from limitpoint import StepSize, SubjectFailed, optimizers, play, problems
from limitpoint.theory import moments

BETAS = [(0.9, 0.95), (0.9, 0.9), (0.5, 0.999)]


def some_gradients(steps: int = 50) -> torch.Tensor:
    noise = torch.Generator().manual_seed(7)
    return torch.randn((steps, 4), generator=noise, dtype=torch.float64)


def test_play_hands_over_the_gradients_one_a_step():
    g = some_gradients()
    found = play(optimizers.GD(StepSize(0.5, 0.5)), g)
    eta = 0.5 * torch.arange(1, 51, dtype=torch.float64).unsqueeze(-1) ** -0.5
    torch.testing.assert_close(found.w[1:], -(eta * g).cumsum(0))
    assert found.times.tolist() == list(range(51))
    assert not found.w[0].any()


def test_play_reports_an_iterate_that_is_not_finite():
    g = some_gradients()
    g[3, 0] = math.inf
    with pytest.raises(SubjectFailed, match="step 4"):
        play(optimizers.GD(), g)


@pytest.mark.parametrize(("beta1", "beta2"), BETAS)
def test_displacements_are_the_moments_ratio(beta1, beta2):
    g = some_gradients()
    adam = optimizers.Adam(StepSize(0.3, 0.5), beta1=beta1, beta2=beta2)
    m, v = moments.moving_average(g, beta1), moments.moving_average(g**2, beta2)
    torch.testing.assert_close(moments.displacements(play(adam, g), adam), m / v.sqrt())
    state = adam.init(problems.sine_valley(), g[0])
    for t, each in enumerate(g):
        state = adam.moments(each, state)
        torch.testing.assert_close(m[t], state.m.tensor())
        torch.testing.assert_close(v[t], state.v.tensor())


@pytest.mark.parametrize(("beta1", "beta2"), BETAS)
@pytest.mark.parametrize("corrected", [False, True])
def test_the_ratio_bound_is_attained_with_and_without_bias_correction(beta1, beta2, corrected):
    adam = optimizers.Adam(1.0, beta1=beta1, beta2=beta2, bias_correction=corrected)
    g = moments.extremal_gradients(beta1, beta2, 40)
    ratio = moments.displacements(play(adam, g), adam)[:, 0]
    correction = moments.correction_seen(ratio[0], beta1, beta2, len(g))
    assert bool((correction == 1).all()) != corrected
    bound = moments.ratio_bound(beta1, beta2, len(g)) * correction
    torch.testing.assert_close(ratio, bound, rtol=1e-12, atol=0.0)


def test_the_ratio_bound_tends_to_lemma_d1():
    beta1, beta2 = 0.9, 0.999
    limit = math.sqrt(beta2 * (1 - beta1) ** 2 / ((1 - beta2) * (beta2 - beta1**2)))
    assert moments.ratio_bound(beta1, beta2, 1000)[-1].item() == pytest.approx(limit, rel=1e-12)
    assert limit == pytest.approx(7.2703, abs=1e-4)


def test_extremal_gradients_stay_within_their_decades():
    g = moments.extremal_gradients(0.1, 0.999, 1000, decades=60)
    assert math.log10(float(g.max() / g.min())) <= 60
    assert 50 < len(g) < 1000


def test_drift_sums_the_last_step_sizes():
    drift = moments.drift(StepSize(1.0, 0.5), 4)
    eta = [(t + 1) ** -0.5 for t in range(4)]
    assert drift[3].tolist() == pytest.approx([0, eta[2], eta[2] + eta[1], sum(eta[:3])])
    assert drift[1, 2].item() == -math.inf


def test_discounted_growth_is_the_sum_it_says():
    drift = moments.drift(StepSize(0.2), 6)
    expected = sum(0.1 * 0.9**s * math.expm1(0.2 * s) for s in range(6))
    assert moments.discounted_growth(drift, 0.9)[-1].item() == pytest.approx(expected)
