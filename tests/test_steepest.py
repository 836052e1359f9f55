"""The replay of steepest descent, the measures it rests on, and Muon."""

import math

import numpy as np
import pytest
import torch

from limitpoint import StepSize, limits, measures, problems, run
from limitpoint.numerics import tensor
from limitpoint.optimizers import Muon, SignGD, SpectralDescent
from limitpoint.optimizers.muon import newton_schulz
from limitpoint.theory import steepest
from limitpoint.views.figures import FIGURES

NORMS = (1.0, 1.5, 2.0, math.inf, "spectral", "nuclear")


@pytest.mark.parametrize("norm", NORMS)
def test_reach_is_the_largest_dual_norm_of_a_constraint(norm):
    problem = problems.clusters(0, k=3, d=5, per_class=2)
    constraints = [
        limits.dual_norm_of(np.outer(np.eye(3)[y] - np.eye(3)[c], x), norm)
        for x, y in zip(problem.X.numpy(), problem.y.tolist(), strict=True)
        for c in range(3)
        if c != y
    ]
    assert float(measures.reach(problem, norm)) == pytest.approx(max(constraints), rel=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_log_dual_norm_of_the_gradient(norm):
    problem = problems.clusters(0, k=3, d=5, per_class=2)
    w = torch.linspace(-2, 2, 30, dtype=torch.float64).reshape(2, 3, 5)
    expected = [limits.dual_norm_of(g.numpy(), norm) for g in tensor(problem.grad(w))]
    found = measures.log_dual_norm(problem, w, norm).exp().tolist()
    assert found == pytest.approx(expected, rel=1e-12)


def test_log_dual_norm_below_the_range_of_float64():
    problem = problems.mirrored_pair(0)
    w = 1e4 * torch.stack([problem.X[0], problem.X[1]])
    log_dual = measures.log_dual_norm(problem, w, math.inf)
    assert float(log_dual) == pytest.approx(float(problem.log_value(w)) + math.log(2), rel=1e-12)
    assert float(log_dual) < -1e3


def test_muon_without_momentum_is_spectral_descent():
    problem = problems.clusters(0, k=3, d=5, per_class=2)
    muon, spectral = (run(problem, rule, 50).final for rule in (Muon(1.0, beta1=0.0),
                                                                SpectralDescent(1.0)))  # fmt: skip
    torch.testing.assert_close(muon, spectral, rtol=1e-12, atol=1e-12)


def test_newton_schulz_scatters_the_singular_values():
    m = torch.diag(torch.tensor([1.0, 0.5, 0.1, 0.03], dtype=torch.float64))
    values = torch.linalg.svdvals(newton_schulz(m))
    assert values.max() < 1.21
    assert values.min() > 0.6
    assert values.max() - values.min() > 0.05


@pytest.mark.parametrize("wrong", [{"beta1": 1.0}, {"iterations": 0}])
def test_muon_refuses_settings_out_of_range(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Muon(1.0, **wrong)


def test_sums_count_from_the_start_on():
    terms = torch.tensor([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]])
    sums = steepest.accumulated(terms, torch.tensor([0, 2]))
    assert sums.T.tolist() == [[0, 1, 3, 7], [-math.inf, -math.inf, 0, 4]]


def test_last_time():
    happens = torch.tensor([[True, False], [True, False], [False, False]])
    assert steepest.last_time(happens).tolist() == [1, -1]


def test_onsets_are_first_times_in_order():
    problem = problems.clusters(0)
    gamma = limits.max_margin(problem.X, problem.y, math.inf, classes=5).value
    runs = run(problem, SignGD(StepSize(0.4, 0.5)), 300, record=range(301))
    story = steepest.replay(problem, runs, math.inf)
    t_1, t_2 = (int(t) for t in story.onsets(gamma))
    small = story.remainder <= gamma * story.step_size / 2
    assert small[t_1:].all()
    assert not small[t_1 - 1]
    assert t_1 < t_2 < 300
    threshold = -math.log(2 * problem.n)
    assert story.log_proxy[t_2] <= threshold < story.log_proxy[t_2 - 1]
    assert story.onsets(1e-9)[0] == 300


def test_replay_needs_every_step():
    problem = problems.clusters(0, k=3, d=5, per_class=2)
    with pytest.raises(ValueError, match="every step"):
        steepest.replay(problem, run(problem, SignGD(0.1), 100), math.inf)


def test_the_figure_is_drawn():
    assert len(FIGURES["multiclass-norms"](steps=3).axes) == 2
