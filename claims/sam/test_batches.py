"""m-SAM, each batch with a perturbation of its own (understanding_sam, (3), (8) and Sec. 4.2)."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from limitpoint import Problem, Trial, claim, losses
from limitpoint.numerics import tensor
from limitpoint.problems.models import DiagonalDifference, Linear

N, STEPS = 12, 600


def unequal_examples(seed: int) -> Iterator[Problem]:
    """Mean losses of twelve examples, the last of them ten times as long as the first."""
    stream = torch.Generator().manual_seed(seed)
    X = torch.randn(N, 8, generator=stream, dtype=torch.float64)
    X = X * torch.logspace(-1, 0, N, dtype=torch.float64).unsqueeze(-1)
    w = torch.randn(8, generator=stream, dtype=torch.float64)
    signs = 2.0 * torch.randint(0, 2, (N,), generator=stream).double() - 1
    layers = 0.2 + 0.3 * torch.rand(2, 8, generator=stream, dtype=torch.float64)
    yield Problem("logistic", Linear(), losses.Logistic(mean=True), X, signs, w)
    yield Problem("log cosh", Linear(), losses.LogCosh(mean=True), X, 5 * signs, w)
    network = DiagonalDifference()
    yield Problem("network", network, losses.Squared(mean=True), X, signs, layers)


def m_sam_direction(problem: Problem, w: Tensor, m: int, rho: float) -> Tensor:
    """(m/n) sum over the batches S of grad L_S(w + rho grad L_S(w)), L_S the mean over S."""
    total = torch.zeros_like(w)
    for first in range(0, N, m):
        rows = slice(first, first + m)
        batch = replace(problem, X=problem.X[rows], y=problem.y[rows])
        total += tensor(batch.grad(w + rho * tensor(batch.grad(w))))
    return total * m / N


@claim(
    "sam/m-sam-step",
    source="understanding_sam, (3) and (8), with batches of m in between",
    statement=r"At every step of m-SAM $w_{t+1} = w_t - \gamma\frac{m}{n}\sum_S \nabla L_S(w_t + "
    r"\rho\nabla L_S(w_t))$, the sum over the $n/m$ batches and $L_S$ the mean loss of a batch, "
    r"for $1 \le m \le n$.",
    hypotheses=("mean loss, consecutive batches of m", "constant step and radius"),
    kind="identity",
    roles=("m-sam",),
    rivals=("n-sam", "1-sam", "gd", "sam-l2", "rho-doubled", "averaged", "ascent"),
)
def test_m_sam_step(trial: Trial) -> None:
    """All 600 steps on three models with unequal batches, m = 1, 2, 3, 4, 12.

    The reference takes each batch for a problem of its own. Tolerance: an iterate rounds at 2^-53
    of its largest entry, which a displacement over gamma carries twice.
    """
    for problem in unequal_examples(trial.seed):
        for m in (1, 2, 3, 4, 12):
            rule = trial.optimizer("m-sam", 0.02, free=("rho",), rho=0.2, batch_size=m)
            gamma, rho = rule.step_size.at(0), rule.settings.get("rho", 0.2)
            # A larger step of a user's own on a loss that is as much smaller.
            paced = replace(problem, loss=replace(problem.loss, factor=0.02 / gamma))
            run = trial.run(paced, rule, STEPS, record=range(STEPS + 1))
            expected = m_sam_direction(paced, run.w[:-1], m, rho)
            moved, title = -run.w.diff(dim=0) / gamma, f"{problem.name}, m = {m}: step over gamma"
            rounding = 2**-50 * run.w.abs().max() / gamma + 1e-13 * expected.abs().max()
            places = ("step", "entry") if problem.ndim == 1 else ("step", "layer", "entry")
            because = "2^-52 of |w| over gamma"
            trial.close(title, moved, expected, rounding, because, along=places)


@claim(
    "sam/minimisers-are-fixed",
    source="understanding_sam, Section 4.2",
    statement="Every interpolator is a fixed point of m-SAM for every m, as of every rule that "
    "moves by the examples' gradients: each is zero there, and the ascent goes nowhere.",
    hypotheses=("all residuals are zero",),
    kind="identity",
    roles=("m-sam",),
    rivals=("ascent-unit-random",),
)
def test_m_sam_minimisers_are_fixed(trial: Trial) -> None:
    """Exactly: integer data, so that every residual is zero without rounding.

    A linear model with inputs (a, a), so that (u, -u) is in the kernel, and a diagonal network,
    whose layers' signs do not matter; m = 1, 2, 3, 6, twenty interpolators each. From points that
    do not interpolate m-SAM does move, or standing still would pass.
    """
    stream = torch.Generator().manual_seed(trial.seed)

    def integers(*shape: int) -> Tensor:
        return torch.randint(-3, 4, shape, generator=stream).double()

    X, beta, layers, kernel = (
        integers(6, 5).repeat(1, 2),
        integers(10),
        integers(2, 10),
        integers(20, 5),
    )
    network = DiagonalDifference()
    linear = Problem("linear", Linear(), losses.Squared(), X, X @ beta, beta)
    y = X @ network.predictor(layers)
    diagonal = Problem("diagonal", network, losses.Squared(mean=True), X, y, layers)
    signs = 2 * torch.randint(0, 2, (20, 2, 10), generator=stream).double() - 1
    cases = ((linear, beta + torch.cat([kernel, -kernel], dim=-1)), (diagonal, signs * layers))
    for problem, start in cases:
        for m in (1, 2, 3, 6):
            rule = trial.optimizer("m-sam", 0.01, rho=0.5, batch_size=m)
            title = f"{problem.name}, m = {m}"
            final = trial.run(problem, rule, 5, start=start).final
            trial.identity(f"interpolator after 5 steps, {title}", final, start, 0.0, "exact")
            moved = trial.run(problem, rule, 1, start=start + 0.5).final - start - 0.5
            trial.at_least(f"move from elsewhere, {title}", moved.abs().max(), 1e-6, 0.0, "a step")
