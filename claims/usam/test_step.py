"""One step of GD and of USAM on a linear model, in closed form, early and late (usam_report)."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from limitpoint import Problem, Trajectory, Trial, claim, losses, problems

STEPS = 1500
BECAUSE = "2^-52 of |w| over eta, and a dozen roundings of the gradient"
#: l' of a residual or of a margin, written out beside the library's own.
SLOPES = {
    losses.Squared: lambda u: u,
    losses.PseudoHuber: lambda u: u / (1 + u**2).sqrt(),
    losses.LogCosh: torch.tanh,
    losses.Logistic: lambda z: -torch.sigmoid(-z),
    losses.Exponential: lambda z: -torch.exp(-z),
    losses.Probit: lambda z: (
        -torch.exp(-(z**2) / 2) / (2 * torch.pi) ** 0.5 / torch.special.ndtr(z)
    ),
}


def settings(seed: int) -> Iterator[tuple[str, Problem, float]]:
    """Each loss once as it is and once a thousandfold, and a step that leaves the end far away."""
    data = problems.gaussian_regression(seed, random_start=True)
    top = float(torch.linalg.matrix_norm(data.X, 2)) ** 2
    for kind in SLOPES:
        monotone = issubclass(kind, losses.MarginLoss)
        y = torch.sign(data.y) if monotone else data.y
        # Where the exponential loss is steep, no constant step is small enough.
        start = 0.1 * data.start if monotone else 3 * data.start
        for factor in (1.0, 1e3):
            problem = replace(data, loss=kind(factor=factor), y=y, start=start)
            yield f"{factor:g} {kind.__name__}", problem, 1e-3 / (factor * top)


def gradient(problem: Problem, w: Tensor) -> Tensor:
    """X^T l'(X w - y) for a loss of the residual, (yX)^T l'(yX w) for one of the margin."""
    slope, factor = SLOPES[type(problem.loss)], problem.loss.factor
    if isinstance(problem.loss, losses.MarginLoss):
        signed = problem.y.unsqueeze(-1) * problem.X
        return factor * slope(w @ signed.mT) @ signed
    return factor * slope(w @ problem.X.mT - problem.y) @ problem.X


def paced(problem: Problem, ratio: float) -> Problem:
    """The loss multiplied, so that a user's own step size is worth the claim's."""
    return replace(problem, loss=replace(problem.loss, factor=ratio * problem.loss.factor))


def step_is(trial: Trial, name: str, run: Trajectory, eta: float, expected: Tensor) -> None:
    """(w_t - w_{t+1}) / eta is as expected at every t."""
    moved = -run.w.diff(dim=0) / eta
    rounding = 2**-52 * run.w.abs().max() / eta + 1e-14 * expected.abs().max()
    title = f"{name}: step over eta"
    trial.close(title, moved, expected, 8 * rounding, BECAUSE, along=("step", "entry"))


@claim(
    "usam/gd-step",
    source="usam_report, (2)",
    statement=r"At every step of GD on a linear model $w_{t+1} = w_t - \eta X^\top \ell'(X w_t)$, "
    "for losses with a finite root and for monotone ones, however large the gradient.",
    hypotheses=("linear model", "constant step"),
    kind="identity",
    roles=("gd",),
    rivals=("gd-clipped", "accelerated-late", "ascent", "stale", "step-doubled", "bracket-lost"),
)
def test_gd_step(trial: Trial) -> None:
    """All 1500 steps, on six losses of size 1 and 1000.

    The derivatives are written out. Tolerance: an iterate rounds at 2^-53 of its largest entry,
    which a displacement over eta carries twice.
    """
    for name, problem, eta in settings(trial.seed):
        gd = trial.optimizer("gd", eta)
        own = gd.step_size.at(0)
        problem = paced(problem, eta / own)
        run = trial.run(problem, gd, STEPS, record=range(STEPS + 1))
        step_is(trial, name, run, own, gradient(problem, run.w[:-1]))


@claim(
    "usam/step",
    source="usam_report, (3) with its inner bracket",
    statement=r"At every step of USAM on a linear model $w_{t+1} = w_t - \eta X^\top \ell'(X w_t + "
    r"\rho X X^\top \ell'(X w_t))$, for losses with a finite root and for monotone ones.",
    hypotheses=("linear model", "constant step and radius, rho * beta <= 1"),
    kind="identity",
    roles=("usam",),
    rivals=(
        "usam-two-sided",
        "usam-trapezoid",
        "usam-switched",
        "accelerated-late",
        "rho-negative",
        "rho-zero",
        "rho-doubled",
        "bracket-lost",
        "averaged",
    ),
)
def test_usam_step(trial: Trial) -> None:
    """All 1500 steps, on six losses of size 1 and 1000, rho = 1 / (2 beta).

    On a quadratic whatever is of second order in rho passes: the other losses tell it apart, as
    long as the iterates are far from the end, where all gradients vanish. Tolerance as for GD.
    """
    for name, problem, eta in settings(trial.seed):
        own = trial.optimizer("usam", eta).step_size.at(0)
        problem = paced(problem, eta / own)
        usam = trial.optimizer("usam", eta, free=("rho",), rho=500 * own)
        rho = usam.settings.get("rho", 500 * own)
        trial.require("rho * beta <= 1", rho <= 1000 * own)
        run = trial.run(problem, usam, STEPS, record=range(STEPS + 1))
        before = run.w[:-1]
        expected = gradient(problem, before + rho * gradient(problem, before))
        step_is(trial, name, run, own, expected)
