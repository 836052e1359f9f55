"""What the verdicts rest on, against something else: certified limits, and scaled arithmetic."""

import random
from dataclasses import dataclass

import cvxpy as cp
import mpmath as mp
import numpy as np
import pytest
import torch

from limitpoint import Scaled, numerics
from limitpoint.theory import limits

# -- limits, against another solver on problems that it states by itself -------------------------

#: The solver that the library does not take for the norm, and its accuracy.
SECOND = {
    1: ("CLARABEL", 1e-6), 2: ("CLARABEL", 1e-6), np.inf: ("CLARABEL", 1e-6),
    1.5: ("SCS", 1e-4), 3: ("SCS", 1e-4), "spectral": ("SCS", 1e-4), "nuclear": ("SCS", 1e-4),
}  # fmt: skip
OPTIONS = {"CLARABEL": {}, "SCS": {"eps_abs": 1e-7, "eps_rel": 1e-7, "max_iters": 100_000}}


def _norm(W, norm):
    if norm in ("spectral", "nuclear"):
        return (cp.sigma_max if norm == "spectral" else cp.normNuc)(W)
    return cp.pnorm(cp.vec(W, order="C"), norm)


def _second(X, y, classes, norm):
    """The largest margin, from its definition."""
    W, t = cp.Variable((classes, X.shape[1])), cp.Variable()
    apart = [
        (W[own] - W[c]) @ x >= t
        for x, own in zip(X, y, strict=True)
        for c in range(classes)
        if c != own
    ]
    problem = cp.Problem(cp.Maximize(t), [_norm(W, norm) <= 1, *apart])
    name, _ = SECOND[norm]
    return problem.solve(solver=name, **OPTIONS[name])


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
@pytest.mark.parametrize("norm", SECOND)
def test_a_second_solver_finds_the_certified_margin(norm, times):
    for seed in range(times(3, 1000)):
        rng = np.random.default_rng(seed)
        classes, n, d = int(rng.integers(2, 5)), int(rng.integers(5, 16)), int(rng.integers(2, 7))
        y = np.arange(n) % classes
        X = rng.standard_normal((classes, d))[y] + 0.3 * rng.standard_normal((n, d))
        tolerance = SECOND[norm][1]
        try:
            found = limits.max_margin(X, y, norm, classes=classes)
        except limits.NotSeparable:
            assert _second(X, y, classes, norm) <= tolerance
            continue
        second = _second(X, y, classes, norm)
        assert found.value - tolerance <= second <= found.upper + tolerance, seed


def test_a_second_solver_finds_the_sparsest_interpolator(times):
    for seed in range(times(5, 1000)):
        rng = np.random.default_rng(seed)
        n, d = int(rng.integers(2, 8)), int(rng.integers(9, 15))
        X, y = rng.standard_normal((n, d)), rng.standard_normal(n)
        found = limits.min_l1_interpolator(X, y)
        w = cp.Variable(d)
        second = cp.Problem(cp.Minimize(cp.norm1(w)), [X @ w == y]).solve(solver="CLARABEL")
        assert np.abs(found.solution).sum() == pytest.approx(second, rel=1e-6), seed
        closest = limits.min_distance_interpolator(X, y, np.zeros(d)).solution
        np.testing.assert_allclose(closest, np.linalg.lstsq(X, y)[0], rtol=0, atol=1e-10)


# -- scaled arithmetic, against mpmath, in programs of a dozen operations ------------------------

EPS = mp.mpf(2) ** -53


@dataclass
class Known:
    """A number as the library has it, and as it is, to within an error that has been added up."""

    scaled: Scaled
    exact: mp.mpf
    error: mp.mpf

    def check(self):
        m, e = self.scaled.mantissa.item(), self.scaled.exponent.item()
        assert m == 0 or (0.5 <= abs(m) < 1 and e == round(e))
        assert abs(mp.ldexp(mp.mpf(m), int(e)) - self.exact) <= self.error
        return self

    @property
    def certain(self):
        """Whether it is known to a tenth: where a quotient or a root is smooth."""
        return abs(self.exact) > 10 * self.error


def _start(rng):
    m, e = rng.choice([-1, 1]) * rng.uniform(0.5, 1), rng.randint(-10_000, 10_000)
    number = torch.tensor([m], dtype=torch.float64)
    return Known(
        Scaled(number, torch.tensor([float(e)], dtype=torch.float64)), mp.ldexp(m, e), mp.mpf(0)
    )


def _sum(x, y):
    size = abs(x.exact) + abs(y.exact) + x.error + y.error
    return Known(x.scaled + y.scaled, x.exact + y.exact, x.error + y.error + 4 * EPS * size)


def _difference(x, y):
    return _sum(x, Known(-y.scaled, -y.exact, y.error))


def _product(x, y):
    sizes = (abs(x.exact) + x.error) * (abs(y.exact) + y.error)
    error = x.error * abs(y.exact) + y.error * abs(x.exact) + x.error * y.error
    return Known(x.scaled * y.scaled, x.exact * y.exact, error + 2 * EPS * sizes)


def _quotient(x, y):
    if not y.certain:
        return x
    exact = x.exact / y.exact
    error = (x.error + abs(exact) * y.error) / (abs(y.exact) - y.error)
    return Known(x.scaled / y.scaled, exact, error + 2 * EPS * (abs(exact) + error))


def _root(x, _):
    if not x.certain:
        return x
    exact = mp.sqrt(abs(x.exact))
    error = x.error / exact
    return Known(numerics.sqrt(abs(x.scaled)), exact, error + 2 * EPS * (exact + error))


def _square(x, _):
    return _product(x, Known(x.scaled, x.exact, x.error))


def test_programs_of_scaled_arithmetic(times):
    operations = (_sum, _difference, _product, _quotient, _root, _square)
    with mp.workdps(60):
        for seed in range(times(200, 10_000)):
            rng = random.Random(seed)
            values = [_start(rng) for _ in range(4)]
            # One of a size with another: sums of the others are the larger one.
            values.append(_sum(values[0], _product(values[0], _start(random.Random(-seed - 1)))))
            for _ in range(12):
                operation = rng.choice(operations)
                made = operation(rng.choice(values), rng.choice(values))
                if abs(made.exact) < mp.ldexp(1, 10**6) and made.error < mp.ldexp(1, 10**6):
                    values.append(made.check())
