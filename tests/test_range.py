"""Rules where float64 has no gradient: Adam against 50 digits of mpmath, entry by entry."""

from functools import partial

import mpmath as mp
import pytest
import torch
from mpmath import mpf

from limitpoint import (
    Problem,
    Scaled,
    StepSize,
    limits,
    losses,
    models,
    numerics,
    optimizers,
    problems,
)
from limitpoint import run as run_any
from limitpoint.problems.problem import Objective

# The definition of a rule; the compiled engine has tests of its own.
run = partial(run_any, engine="torch")
ENGINES = ["torch", "fused"]


@pytest.fixture(autouse=True)
def fifty_digits():
    with mp.workdps(50):
        yield


def adam_in_mpmath(problem: Problem, start, steps: int, eta: float, beta1: float, beta2: float):
    """(3a)-(3c) of signgd_adam at 50 digits, entry by entry, with its own losses."""
    X, y = [[mpf(x) for x in row] for row in problem.X.tolist()], problem.y.tolist()
    W = [[mpf(x) for x in row] for row in start.reshape(-1, start.shape[-1]).tolist()]
    slopes_of = softmax_slopes if isinstance(problem.loss, losses.CrossEntropy) else sigmoid_slopes
    weight = mpf(problem.loss.weight(problem.n))
    eta, beta1, beta2 = mpf(eta), mpf(beta1), mpf(beta2)
    m, v = [[mpf(0)] * len(row) for row in W], [[mpf(0)] * len(row) for row in W]
    for _ in range(steps):
        slopes = [
            slopes_of([mp.fdot(row, x) for row in W], label) for x, label in zip(X, y, strict=True)
        ]
        for c, row in enumerate(W):
            for j in range(len(row)):
                g = mp.fsum(s[c] * x[j] for s, x in zip(slopes, X, strict=True)) * weight
                m[c][j] = beta1 * m[c][j] + (1 - beta1) * g
                v[c][j] = beta2 * v[c][j] + (1 - beta2) * g * g
                if v[c][j]:
                    row[j] -= eta * m[c][j] / mp.sqrt(v[c][j])
    found = torch.tensor([[float(x) for x in row] for row in W], dtype=torch.float64)
    return found.reshape(start.shape)


def softmax_slopes(logits: list[mpf], label: int) -> list[mpf]:
    """Softmax minus the one-hot label."""
    powers = [mp.exp(u - logits[label]) for u in logits]
    whole = mp.fsum(powers)
    p = [power / whole for power in powers]
    p[label] = -mp.fsum(q for c, q in enumerate(p) if c != label)
    return p


def sigmoid_slopes(prediction: list[mpf], label: float) -> list[mpf]:
    """-y sigma(-y f)."""
    return [-mpf(label) / (1 + mp.exp(mpf(label) * u)) for u in prediction]


def binary(X: list[list[float]], start: list[float]) -> Problem:
    """Logistic loss, every label one."""
    rows, w = torch.tensor(X, dtype=torch.float64), torch.tensor(start, dtype=torch.float64)
    y = torch.ones(len(rows), dtype=torch.float64)
    return Problem("sparse rows", models.Linear(), losses.Logistic(), rows, y, w)


def classes(X: list[list[float]], start: list[list[float]]) -> Problem:
    """Cross-entropy, an example a class."""
    rows, w = torch.tensor(X, dtype=torch.float64), torch.tensor(start, dtype=torch.float64)
    return Problem(
        "classes", models.MulticlassLinear(), losses.CrossEntropy(), rows, torch.arange(len(X)), w
    )


#: Margins from 0 to 1e4 side by side; inputs that light examples alone have, and that nobody has.
HARD = {
    "two coordinates": binary([[1, 0], [0, 1]], [0, 400]),
    "margins 0 to 1e4": binary(
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], [0, 400, 3000, 10000]
    ),
    "inputs of light examples": binary(
        [[1, 0.5, 0, 0, 0], [0, 1, 0.5, 0, 0], [0, 0.25, 1, -3, 0], [0, 0, 0.5, 2, 0]],
        [0, 500, 2000, 8000, 7],
    ),
    "heavy examples that cancel": binary(
        [[1, 1, 0], [1, -1, 0], [0, 1, 2], [0, 3, 1]], [0, 0, 4000]
    ),
    "classes": classes([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[9000, 0, 0], [0, 700, 0], [0, 0, 0.5]]),
    "an input nobody has": classes(
        [[1, 0.5, 0], [0, 1, 0], [0.25, 2, 0]], [[5000, 0, 1], [0, 800, 1], [0, 3, 1]]
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("problem", HARD.values(), ids=HARD)
@pytest.mark.parametrize("steps", [1, 30])
def test_every_entry_takes_its_step(problem, steps, engine):
    adam = optimizers.Adam(0.1, beta1=0.9, beta2=0.99)
    moved = run_any(problem, adam, steps, engine=engine).final - problem.start
    expected = adam_in_mpmath(problem, problem.start, steps, 0.1, 0.9, 0.99) - problem.start
    # An entry of 1e4 has a last bit of 2e-12, which is what a step can differ by.
    torch.testing.assert_close(moved, expected, rtol=1e-9, atol=4e-12 * steps)
    used = (problem.X != 0).any(0).expand_as(problem.start)
    if steps == 1:
        torch.testing.assert_close(moved[used].abs(), torch.full_like(moved[used], 0.1))
    assert not bool(moved[~used].any())


@pytest.mark.parametrize("engine", ENGINES)
def test_the_first_step_is_as_long_for_each(engine):
    """Adam's first step without bias correction is eta (1 - beta1) / sqrt(1 - beta2) everywhere."""
    problem = HARD["two coordinates"]
    adam = optimizers.Adam(0.1, beta1=0.9, beta2=0.99)
    moved = run_any(problem, adam, 1, engine=engine).final - problem.start
    torch.testing.assert_close(moved, torch.full_like(moved, 0.1), rtol=1e-13, atol=1e-13)


def test_moments_outlive_their_gradient():
    """e^-1500 after e^0: the old gradient rules both moments until the new one is all there is."""
    sizes = [0.0, -1500.0, -1500.0, -3000.0, *[-9000.0] * 40]
    beta1, beta2 = 0.25, 1e-100
    adam, w = optimizers.Adam(1.0, beta1=beta1, beta2=beta2), torch.zeros(1, dtype=torch.float64)
    moments = adam.init(problems.sine_valley(), w)
    m = v = mpf(0)
    for t, size in enumerate(sizes):
        moments = adam.moments(numerics.exp(torch.tensor([size], dtype=torch.float64)), moments)
        g = mp.exp(mpf(size))
        m, v = beta1 * m + (1 - mpf(beta1)) * g, beta2 * v + (1 - mpf(beta2)) * g * g
        assert float(adam.ratio(moments, t)) == pytest.approx(float(m / mp.sqrt(v)), rel=1e-12)


# -- long runs ------------------------------------------------------------------------------------

TINY = problems.clusters(1, k=3, d=3, per_class=2, sigma=0.2)


def deep_start() -> torch.Tensor:
    """A separator at which the loss is below e^-500, not quite the best one."""
    best = limits.max_margin(TINY.X, TINY.y, 2.0, classes=3)
    return torch.from_numpy(510 / best.value * best.solution)


class _PlainMoments(optimizers.Adam):
    """Adam as it is usually written: v is zero where g^2 leaves float64's range."""

    def moments(self, g, state):
        g = numerics.tensor(g)
        m = self.beta1 * state.m.tensor() + (1 - self.beta1) * g
        v = self.beta2 * state.v.tensor() + (1 - self.beta2) * g * g
        return optimizers.Moments(numerics.scaled(m), numerics.scaled(v))


@pytest.mark.parametrize(
    ("start", "steps", "eta", "beta1", "beta2"),
    [
        pytest.param(TINY.start, 3000, 1.0, 0.3, 0.5, id="from zero to e^-540"),
        pytest.param(deep_start(), 1000, 0.3, 0.9, 0.95, id="from e^-510 on"),
    ],
)
def test_adam_equals_mpmath_where_float64_has_no_gradient(start, steps, eta, beta1, beta2):
    """Step sizes at which the run does not amplify rounding: 3000 steps of it stay below 1e-12."""
    settings = {"step_size": StepSize(eta), "beta1": beta1, "beta2": beta2}
    expected = adam_in_mpmath(TINY, start, steps, eta, beta1, beta2)
    assert TINY.log_value(expected) < -400
    for engine in ("torch", "fused"):
        final = run_any(TINY, optimizers.Adam(**settings), steps, start=start, engine=engine).final
        torch.testing.assert_close(final, expected, rtol=1e-9, atol=0.0)
    naive = run(TINY, _PlainMoments(**settings), steps, start=start).final
    moved, naively = (expected - start).abs().max(), (naive - start).abs().max()
    assert naively < 0.5 * moved, "plain float64 is expected to stall where g^2 underflows"


def test_adam_does_not_feel_a_constant_that_multiplies_the_loss():
    """m / sqrt(v) is homogeneous of degree zero; the shift of e^-3000 is far out of range."""
    shift = numerics.exp(torch.tensor(-3000.0, dtype=torch.float64))

    class Shifted(Objective):
        def grad(self, w) -> Scaled:
            return TINY.grad(w.reshape(TINY.start.shape)) * shift

        @property
        def ndim(self):
            return 2

    adam = optimizers.Adam(StepSize(0.3, 0.5), beta1=0.9, beta2=0.95)
    shifted = Shifted("shifted", TINY.value, TINY.grad)
    there = run(shifted, adam, 200, start=TINY.start).final
    torch.testing.assert_close(there, run(TINY, adam, 200).final, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("start", [TINY.start, deep_start()], ids=["in range", "far below it"])
def test_a_batch_of_epsilons_is_a_batch_of_adams(start):
    """Entry by entry the same run, epsilon = 0 and one far above the gradient included."""
    epsilons = [0.0, 1e-300, 1e-8, 1.0]
    column = torch.tensor(epsilons, dtype=torch.float64).reshape(-1, 1, 1)
    settings = {"step_size": StepSize(0.3, 0.5), "beta1": 0.9, "beta2": 0.95}
    starts = start.expand(4, -1, -1)
    together = run(TINY, optimizers.Adam(**settings, epsilon=column), 100, start=starts).final
    for epsilon, final in zip(epsilons, together, strict=True):
        alone = run(TINY, optimizers.Adam(**settings, epsilon=epsilon), 100, start=start).final
        torch.testing.assert_close(final, alone, rtol=1e-12, atol=1e-12)
    if start is TINY.start:
        torch.testing.assert_close(together[1], together[0], rtol=1e-12, atol=1e-12)
    else:
        torch.testing.assert_close(together[2], start, rtol=1e-12, atol=0.0)
