"""Sharpness of linear models, and what m-SAM leaves alone (understanding_sam, Sec. 3 and 4.2)."""

import torch
from torch import Tensor

from limitpoint import Problem, Trial, claim, losses, problems
from limitpoint.problems.models import DiagonalDifference, Linear
from limitpoint.theory import sharpness

N, D = 16, 40


def same_predictions(problem: Problem, w: Tensor, count: int, seed: int) -> Tensor:
    """Points w + v with X v = 0, v random and as long as w or longer, shape (count, d)."""
    noise = torch.randn(count, D, generator=torch.Generator().manual_seed(seed)).double()
    basis = torch.linalg.qr(problem.X.mT).Q
    return w + noise - (noise @ basis) @ basis.mT


@claim(
    "sam/sharpness-linear",
    source="understanding_sam, Section 3",
    statement=r"The 1-sharpness of a linear model is $\sum_i \ell(y_i\langle w, x_i\rangle - "
    r"\rho\|x_i\|) - \ell(y_i\langle w, x_i\rangle)$, so that minimisers with the same "
    "predictions, such as all interpolators, are equally sharp.",
    hypotheses=("linear model", "decreasing loss of the margin, or even loss of the residual"),
    kind="identity",
)
def test_linear_sharpness(trial: Trial) -> None:
    """Closed form against projected ascent, and equal at points that predict the same.

    Logistic and exponential loss at random w, squared loss at interpolators, n < d. An example's
    gradient is along its input wherever it is taken, so that the ascent reaches the maximum in one
    step after the first; a step rounds at 1e-16 of the input.

    Controls: the closed form is not the n-sharpness, which is at most sqrt(n) rho times the largest
    singular value (the loss is 1-Lipschitz); and with the hinge loss minimisers of different
    margins are *not* equally sharp: the paper's "all global minimizers" needs equal predictions.
    """
    rho = 0.3
    X = problems.conditioned_rows(trial.seed, N, D, 1.5)
    w = torch.randn(D, generator=torch.Generator().manual_seed(trial.seed)).double()
    signs = torch.where(X @ w >= 0, 1.0, -1.0).double().roll(1)
    for loss in (losses.Logistic(), losses.Exponential(), losses.Squared()):
        y = X @ w if isinstance(loss, losses.Squared) else signs
        problem = Problem("sharpness", Linear(), loss, X, y, w)
        points = same_predictions(problem, w, 20, trial.seed)
        closed = sharpness.linear_one_sharpness(problem, points, rho)
        ascended = sharpness.ascended_sharpness(problem, points, rho, 1)
        name = type(loss).__name__
        trial.identity(f"1-sharpness, {name}", ascended, closed, 1e-12, "rounding of 16 terms")
        trial.identity(f"equal 1-sharpness, {name}", closed, closed[:1], 1e-12, "rounding")

    logistic = Problem("sharpness", Linear(), losses.Logistic(), X, signs, w)
    centre = torch.zeros(D, dtype=torch.float64)
    closed = sharpness.linear_one_sharpness(logistic, centre, rho)
    largest = N**0.5 * rho * torch.linalg.matrix_norm(X, 2)
    trial.ordering("most that n-sharpness can be", largest, closed, "the closed form is for m = 1")
    reached = sharpness.ascended_sharpness(logistic, centre, rho, N)
    trial.at_most("n-sharpness by ascent", reached, largest, 1e-12, "the Lipschitz bound")
    size = torch.linalg.vector_norm(X, dim=-1)
    near, far = ((1 - margin + 4 * size).clamp(min=0).sum() for margin in (1.0, 2.0))
    title, because = "hinge loss, sharpness at margin 2", "both are minimisers"
    trial.ordering(title, far, near, because, about="a formula")


@claim(
    "sam/minimisers-are-fixed",
    source="understanding_sam, Section 4.2",
    statement="Every interpolator is a fixed point of m-SAM for every m: each example's gradient "
    "is zero there, and the ascent goes nowhere.",
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
