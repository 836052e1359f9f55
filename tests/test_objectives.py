"""Plain functions, finite sums and schedules: what their docstrings promise."""

import pytest
import torch

from limitpoint import LinearStep, PolyakLojasiewiczStep, RootRadius, StepSize, finite_sum, problems
from limitpoint.engines.run import run
from limitpoint.errors import NotApplicable
from limitpoint.optimizers import MSAM, NSAM, Adam, Minibatch
from limitpoint.problems import objectives, relu
from limitpoint.problems.losses import Logistic
from limitpoint.problems.models import Linear
from limitpoint.problems.problem import Problem
from limitpoint.theory import sharpness as sharp

SHIFT = torch.linspace(-1, 1, 3, dtype=torch.float64)
BOWL = problems.quadratic(torch.tensor([1.0, 1.5, 2.0], dtype=torch.float64))
OBJECTIVES = {
    "sine-valley": (problems.sine_valley(), (3,)),
    "chain": (problems.parabola_chain(3), (3,)),
    "composed": (
        problems.composed(problems.sine_valley(), problems.conditioned_rows(0, 3, 6, 2.0), SHIFT),
        (6,),
    ),
    "leaning": (problems.leaning_ridges(4.0, 0.5), (2,)),
    "waves": (problems.cosine_waves(0, 2, beta=3.0), (2, 1, 4)),
    "ridges": (problems.ridges(0, 2, beta=3.0, mu=0.5), (2, 1, 4)),
}


def draws(shape, seed=0):
    return 2 * torch.randn(200, *shape, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradient_is_the_derivative(name):
    objective, shape = OBJECTIVES[name]
    w, v = draws(shape), draws(shape, 1)
    h = 1e-6
    slope = (objective.value(w + h * v) - objective.value(w - h * v)) / (2 * h)
    expected = (objective.grad(w) * v).sum(-1)
    torch.testing.assert_close(slope, expected, atol=1e-4, rtol=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_smoothness_bounds_the_gradients_change(name):
    objective, shape = OBJECTIVES[name]
    w, v = draws(shape), draws(shape, 1)
    change = (objective.grad(w) - objective.grad(v)).norm(dim=-1)
    assert (change <= objective.constants["beta"] * (w - v).norm(dim=-1) * (1 + 1e-12)).all()


def test_pl_certificate_accepts_the_constant_and_no_larger_one():
    pl = problems.sine_valley().constants["pl"]
    assert pl == pytest.approx(0.17553, abs=1e-5)
    assert objectives._is_pl(pl, 3.0)
    assert not objectives._is_pl(pl * (1 + 3e-6), 3.0)


def test_relu_gradient_is_autograds():
    problem = problems.relu_regression(0)
    w = problem.start
    leaf = w.clone().requires_grad_()
    x, y = relu.INPUTS, relu.TARGETS
    loss = ((problems.relu_function(leaf, x) - y) ** 2).sum(-1) / 2
    torch.testing.assert_close(problem.value(w), loss.detach())
    torch.testing.assert_close(problem.grad(w), torch.autograd.grad(loss.sum(), leaf)[0])


def test_slope_variation_is_that_of_the_function():
    w = problems.relu_regression(0).start
    x = torch.linspace(-1.305, 1.445, 200_001, dtype=torch.float64)
    slopes = problems.relu_function(w, x).diff() / x.diff()
    measured = slopes.diff().abs().sum(-1)
    torch.testing.assert_close(problems.slope_variation(w), measured, rtol=1e-2, atol=0.0)


def test_finite_sum_has_its_mean_and_its_variance():
    terms = problems.noisy_terms(BOWL, 0, 3, 2.0, 0.7)
    w = draws((3,)) / 4
    each = torch.stack(
        [terms.sampled_grad(w, torch.full((200, 1), i, dtype=torch.int64)) for i in range(terms.n)]
    )
    torch.testing.assert_close(each.mean(0), terms.grad(w))
    assert float(((each - terms.grad(w)) ** 2).sum(-1).mean(0).max()) <= terms.variance
    quiet = problems.noisy_terms(BOWL, 0, 3, 2.0, 0.0)
    assert quiet.variance == pytest.approx(4.0)


def test_all_batches_are_every_outcome_once():
    batches = finite_sum.all_batches(3, calls=2, size=1)
    assert batches.shape == (1, 2, 9, 1, 1)
    assert len({tuple(x) for x in batches[0, :, :, 0, 0].T.tolist()}) == 9


def test_m_sam_on_a_minibatch_is_n_sam_with_one_batch_for_both_steps():
    terms = problems.noisy_terms(BOWL, 0, 3, 2.0, 0.7)
    batches = finite_sum.random_batches(0, terms.n, steps=5, calls=1, runs=(7,), size=2)
    start = draws((3,))[:7]
    one = run(terms, Minibatch(MSAM(0.1, rho=0.3, batch_size=2), batches), 5, start=start)
    two = run(terms, Minibatch(NSAM(0.1, rho=0.3), batches), 5, start=start)
    torch.testing.assert_close(one.final, two.final)


def test_minibatches_are_for_memoryless_rules():
    terms = problems.noisy_terms(BOWL, 0, 3, 2.0, 0.0)
    batches = finite_sum.random_batches(0, terms.n, steps=1, calls=1, runs=(1,), size=1)
    with pytest.raises(NotApplicable, match="memoryless"):
        run(terms, Minibatch(Adam(0.1), batches), 1, start=torch.zeros(1, 3).double())


def test_schedules():
    gamma = PolyakLojasiewiczStep(0.25, pl=2.0)
    assert [gamma.at(0), gamma.at(99)] == [0.25, 796 / 60_000]
    radius = RootRadius(gamma=gamma, beta=4.0)
    assert radius.at(0) == 0.25
    assert LinearStep(2.0, total=4).at(1) == 1.5
    assert LinearStep(2.0, total=4).at(9) == 0.0


def test_a_schedule_of_radii_replaces_rho():
    w = draws((3,))[:2]
    scheduled = run(BOWL, NSAM(0.1, rho=9.0, radii=StepSize(0.5, 1.0)), 2, start=w)
    first = run(BOWL, NSAM(0.1, rho=0.5), 1, start=w).final
    torch.testing.assert_close(
        scheduled.final, run(BOWL, NSAM(0.1, rho=0.25), 1, start=first).final
    )


def test_one_sharpness_is_reached_by_ascent():
    X = problems.conditioned_rows(0, 4, 6, 2.0)
    y = torch.tensor([1.0, -1.0, 1.0, 1.0], dtype=torch.float64)
    problem = Problem("p", Linear(), Logistic(), X, y, torch.zeros(6).double())
    w = draws((6,))[:5]
    torch.testing.assert_close(
        sharp.ascended_sharpness(problem, w, 0.2, 1), sharp.linear_one_sharpness(problem, w, 0.2)
    )
