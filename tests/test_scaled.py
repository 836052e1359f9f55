"""Scaled arithmetic: against mpmath at 50 digits, and against plain tensors where those suffice."""

import math
from functools import partial

import mpmath as mp
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mpf

from limitpoint import Problem, StepSize, limits, optimizers, problems, scaled
from limitpoint import run as run_any
from limitpoint.numerics.scaled import Scaled
from limitpoint.problems.losses import (
    CrossEntropy,
    MulticlassExponential,
    PairLogLoss,
    log_softplus,
)
from limitpoint.problems.problem import Objective

EPS = 2.0**-52
# One slow first call, of torch or of mpmath, is no failure.
unhurried = settings(deadline=None)
# The definition of a rule; the fused engine has tests of its own.
run = partial(run_any, engine="torch")

mantissas = st.floats(1e-3, 1e3) | st.floats(-1e3, -1e-3)
log_scales = st.floats(-5e3, 5e3)
mild = st.floats(-50, 50)


def scalar(mantissa: float, log_scale: float) -> Scaled:
    return Scaled(
        torch.tensor([mantissa], dtype=torch.float64),
        torch.tensor([log_scale], dtype=torch.float64),
    )


def exact(x: Scaled) -> mpf:
    """The value that a one-entry Scaled stands for."""
    return mpf(x.mantissa.item()) * mp.exp(mpf(x.log_scale.item()))


def agrees(x: Scaled, expected: mpf, relative: float) -> None:
    assert math.isfinite(x.mantissa.item())
    assert abs(exact(x) - expected) <= relative * abs(expected)


def rounding(*log_scales: float) -> float:
    """Relative rounding of sums and differences of log-scales, exponentiated."""
    return 8 * EPS * (1 + sum(abs(scale) for scale in log_scales))


@pytest.fixture(autouse=True)
def fifty_digits():
    with mp.workdps(50):
        yield


# -- operators --------------------------------------------------------------------------------


@unhurried
@given(mantissas, log_scales, mantissas, log_scales)
def test_products_and_quotients_keep_every_digit(a, s, b, t):
    x, y = scalar(a, s), scalar(b, t)
    agrees(x * y, exact(x) * exact(y), rounding(s, t))
    agrees(x / y, exact(x) / exact(y), rounding(s, t))


@unhurried
@given(mantissas, log_scales, st.floats(-30, 30), mantissas)
def test_sums_are_exact_relative_to_the_larger_term(a, s, apart, b):
    x, y = scalar(a, s), scalar(b, s + apart)
    size = max(abs(exact(x)), abs(exact(y)))
    assert abs(exact(x + y) - (exact(x) + exact(y))) <= rounding(apart) * size
    assert abs(exact(x - y) - (exact(x) - exact(y))) <= rounding(apart) * size


@unhurried
@given(mantissas, log_scales, mantissas)
def test_a_number_multiplies_and_divides_the_mantissa_only(a, s, b):
    x = scalar(a, s)
    for product in (x * b, b * x):
        agrees(product, exact(x) * mpf(b), 2 * EPS)
    agrees(x / b, exact(x) / mpf(b), 2 * EPS)
    agrees(-x, -exact(x), 0)
    agrees(abs(x), abs(exact(x)), 0)


@unhurried
@given(mantissas, log_scales)
def test_roots_squares_and_logarithms(a, s):
    x = scalar(a, s)
    agrees(scaled.square(x), exact(x) ** 2, 2 * EPS)
    agrees(scaled.sqrt(abs(x)), mp.sqrt(abs(exact(x))), rounding())
    assert x.log_abs().item() == pytest.approx(float(mp.log(abs(exact(x)))), abs=rounding(s) * 10)
    assert scaled.sign(x).item() == math.copysign(1, a)


@unhurried
@given(mantissas, log_scales)
def test_normalising_changes_the_form_and_not_the_value(a, s):
    normal = scalar(a * 1e-200, s).normalized()
    agrees(normal, mpf(a * 1e-200) * mp.exp(mpf(s)), rounding(s, 500))
    assert abs(normal.mantissa.item()) == 1


@unhurried
@given(st.lists(mantissas, min_size=6, max_size=6), mild, mild, mild)
def test_in_float64s_range_it_is_the_plain_tensor(entries, s, t, c):
    mantissa = torch.tensor(entries, dtype=torch.float64).reshape(2, 3)
    rows = Scaled(mantissa, torch.tensor([[s], [t]], dtype=torch.float64))
    plain = rows.tensor()
    close = {"rtol": 1e-12, "atol": 1e-12 * float(plain.abs().max())}
    torch.testing.assert_close(rows + plain, 2 * plain, **close)
    torch.testing.assert_close(plain + rows, 2 * plain, **close)
    torch.testing.assert_close(c - rows, c - plain, **close)
    torch.testing.assert_close(rows - c, plain - c, **close)
    torch.testing.assert_close(rows.aligned([-2, -1]).tensor(), plain, **close)
    torch.testing.assert_close(scaled.rescaled(rows).tensor(), plain, **close)
    torch.testing.assert_close(scaled.mean(rows, -2).tensor(), plain.mean(-2), **close)
    for p in (1, 1.5, 2, math.inf):
        norm = torch.linalg.vector_norm(plain, p, dim=(-2, -1), keepdim=True)
        torch.testing.assert_close(scaled.vector_norm(rows, p, (-2, -1)).tensor(), norm, **close)
        torch.testing.assert_close(scaled.vector_norm(plain, p, (-2, -1)), norm, **close)
    torch.testing.assert_close(
        scaled.safe_ratio(rows, abs(rows)), plain.sign(), rtol=1e-12, atol=0.0
    )


@unhurried
@given(log_scales)
def test_the_norm_does_not_depend_on_the_scale(s):
    mantissa = torch.tensor([[3.0, -4.0]], dtype=torch.float64)
    norm = scaled.vector_norm(Scaled(mantissa, torch.full((1, 1), s, dtype=torch.float64)), 2, [-1])
    agrees(Scaled(norm.mantissa[0], norm.log_scale[0]), 5 * mp.exp(mpf(s)), rounding(s))


@pytest.mark.parametrize("s", [-1e6, -1e12, -1e18])
def test_a_unit_vector_is_exact_however_small_the_vector(s):
    x = Scaled(
        torch.tensor([[3e5, 4e5]], dtype=torch.float64), torch.full((1, 1), s, dtype=torch.float64)
    )
    unit = scaled.safe_ratio(x, scaled.vector_norm(x, 2, [-1]))
    torch.testing.assert_close(unit, torch.tensor([[0.6, 0.8]], dtype=torch.float64))


def test_zeros_stay_zeros():
    zero = scalar(0.0, -900.0)
    assert zero.normalized().mantissa.item() == 0
    assert zero.log_abs().item() == -math.inf
    assert scaled.safe_ratio(scalar(1.0, 0.0), zero).item() == 0
    assert scaled.safe_ratio(torch.ones(1), torch.zeros(1)).item() == 0


def test_a_plain_tensor_defers_to_scaled():
    x, two = scalar(3.0, -2000.0), torch.tensor([2.0], dtype=torch.float64)
    assert isinstance(two * x, Scaled)
    assert (two * x).log_abs().item() == pytest.approx(math.log(6) - 2000)


# -- losses -----------------------------------------------------------------------------------


@unhurried
@given(st.floats(-2e4, 2e4))
def test_log_softplus_to_rounding(u):
    expected = mp.log(mp.log1p(mp.exp(mpf(u))))
    measured = log_softplus(torch.tensor(u, dtype=torch.float64)).item()
    assert abs(measured - float(expected)) <= 4 * EPS * max(1, abs(u))


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
    assert log_abs[2].item() == pytest.approx(others.item(), abs=8 * EPS * (1 + size))
    signs = loss.slope(logits, torch.tensor([2])).mantissa[0].sign()
    assert signs.tolist() == [1, 1, -1, 1, 1]


@unhurried
@given(st.floats(1, 700))
def test_the_true_classs_residual_is_softmax_minus_one(size):
    """At 700 digits `p - 1` still has 396 of them; in float64 it is zero from a loss of 1e-16."""
    logits = [0.3, size, -0.7]
    with mp.workdps(700):
        powers = [mp.exp(mpf(u)) for u in logits]
        expected = mp.log(1 - powers[1] / mp.fsum(powers))
    slope = CrossEntropy().slope(torch.tensor([logits], dtype=torch.float64), torch.tensor([1]))
    assert slope.log_abs()[0, 1].item() == pytest.approx(float(expected), abs=8 * EPS * (1 + size))


# -- Adam -------------------------------------------------------------------------------------


def adam_in_mpmath(problem: Problem, start, steps: int, eta: float, beta1: float, beta2: float):
    """(3a)-(3c) of signgd_adam at 50 digits, entry by entry, with its own cross-entropy."""
    X, y = [[mpf(x) for x in row] for row in problem.X.tolist()], problem.y.tolist()
    W = [[mpf(x) for x in row] for row in start.tolist()]
    k, d, n = len(W), len(W[0]), len(X)
    eta, beta1, beta2 = mpf(eta), mpf(beta1), mpf(beta2)
    m, v = [[mpf(0)] * d for _ in W], [[mpf(0)] * d for _ in W]
    for _ in range(steps):
        slopes = [
            residuals([mp.fdot(row, x) for row in W], label) for x, label in zip(X, y, strict=True)
        ]
        for c in range(k):
            for j in range(d):
                g = mp.fsum(slope[c] * x[j] for slope, x in zip(slopes, X, strict=True)) / n
                m[c][j] = beta1 * m[c][j] + (1 - beta1) * g
                v[c][j] = beta2 * v[c][j] + (1 - beta2) * g * g
                W[c][j] -= eta * m[c][j] / mp.sqrt(v[c][j])
    return torch.tensor([[float(x) for x in row] for row in W], dtype=torch.float64)


def residuals(logits: list[mpf], label: int) -> list[mpf]:
    """Softmax minus the one-hot label."""
    powers = [mp.exp(u - logits[label]) for u in logits]
    total = mp.fsum(powers)
    p = [power / total for power in powers]
    p[label] = -mp.fsum(q for c, q in enumerate(p) if c != label)
    return p


def plain(problem: Problem) -> Objective:
    """The same problem with its gradient in plain float64, over the flattened parameter."""
    shape = problem.start.shape
    return Objective(
        problem.name,
        lambda w: problem.value(w.reshape(shape)),
        lambda w: problem.grad(w.reshape(shape)).tensor().reshape(-1),
    )


TINY = problems.clusters(1, k=3, d=3, per_class=2, sigma=0.2)


def deep_start() -> torch.Tensor:
    """A separator at which the loss is below e^-500, not quite the best one."""
    best = limits.max_margin(TINY.X, TINY.y, 2.0, classes=3)
    return torch.from_numpy(510 / best.value * best.solution)


@pytest.mark.parametrize("engine", ["torch", "fused"])
@pytest.mark.parametrize(
    ("start", "steps", "eta", "beta1", "beta2"),
    [
        pytest.param(TINY.start, 3000, 1.0, 0.3, 0.5, id="from zero to e^-540"),
        pytest.param(deep_start(), 1000, 0.3, 0.9, 0.95, id="from e^-510 on"),
    ],
)
def test_adam_equals_mpmath_where_float64_has_no_gradient(start, steps, eta, beta1, beta2, engine):
    """Step sizes at which the run does not amplify rounding: 3000 steps of it stay below 1e-12."""
    adam = optimizers.Adam(StepSize(eta), beta1=beta1, beta2=beta2)
    final = run_any(TINY, adam, steps, start=start, engine=engine).final
    expected = adam_in_mpmath(TINY, start, steps, eta, beta1, beta2)
    assert TINY.log_value(final) < -400
    torch.testing.assert_close(final, expected, rtol=1e-9, atol=0.0)
    naive = run(plain(TINY), adam, steps, start=start.reshape(-1)).final.reshape(start.shape)
    moved, naively = (expected - start).abs().max(), (naive - start).abs().max()
    assert naively < 0.5 * moved, "plain float64 is expected to stall where g^2 underflows"


def test_adam_does_not_feel_a_constant_that_multiplies_the_loss():
    """m / sqrt(v) is homogeneous of degree zero; the shift of e^-3000 is far out of range."""

    class Shifted(Objective):
        def grad(self, w):
            g = TINY.grad(w.reshape(TINY.start.shape))
            return Scaled(g.mantissa, g.log_scale - 3000.0)

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
