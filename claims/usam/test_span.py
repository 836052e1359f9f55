"""Iterates stay in the affine span of the data (usam_report, Sections 3.1 and 3.2)."""

from collections.abc import Iterator
from dataclasses import replace

import torch

from limitpoint import Problem, Trial, claim, losses, measures, problems

LOSSES = (
    losses.Squared(),
    losses.PseudoHuber(),
    losses.LogCosh(),
    losses.Logistic(),
    losses.Exponential(),
    losses.Probit(),
)
STEPS = 200


def settings(seed: int) -> Iterator[tuple[str, Problem]]:
    """Each loss from a random start; n < d, so that any labels are separable."""
    data = problems.gaussian_regression(seed, random_start=True)
    for loss in LOSSES:
        name = type(loss).__name__
        if isinstance(loss, losses.MarginLoss):
            # Where the exponential loss is steep, no constant step is small enough.
            yield name, replace(data, loss=loss, y=torch.sign(data.y), start=0.1 * data.start)
        else:
            yield name, replace(data, loss=loss)


@claim(
    "usam/span",
    source="usam_report, Sections 3.1 and 3.2",
    statement=r"The iterates of USAM, GD, $\ell_2$-SAM, n-SAM and 1-SAM on a linear model never "
    r"leave $w_0 + \mathrm{span}(x_1, \dots, x_n)$, for losses with a finite root and for "
    "monotone ones.",
    hypotheses=("linear model",),
    kind="identity",
    roles=("usam", "gd", "sam-l2", "n-sam", "1-sam"),
    rivals=(
        "signgd",
        "adam",
        "cd",
        "usam-decayed",
        "gd:signgd",
        "gd:cd",
        "sam-l2:usam-decayed",
        "n-sam:usam-decayed",
        "1-sam:usam-decayed",
    ),
)
def test_usam_gd_and_sam_stay_in_the_span(trial: Trial) -> None:
    """The part of w_t - w_0 outside the span of the data is rounding, at every step.

    Only what is done to the gradient afterwards can leave the span: the gradient of a linear model
    lies in it wherever it is taken, so that linf-SAM stays inside as well.

    Tolerance: t steps of sqrt(d) roundings each, at 2^-52 of the largest iterate or step.
    Confinement needs no small step; the steps are those with which every rule stays finite.
    """
    for name, problem in settings(trial.seed):
        top = float(torch.linalg.matrix_norm(problem.X, 2)) ** 2
        for role in trial.claim.roles:
            radius = {} if role == "gd" else {"rho": 0.2 / top}
            rule = trial.optimizer(role, 0.5 / top, **radius)
            run = trial.run(problem, rule, STEPS, record=range(STEPS + 1))
            outside = measures.off_span(problem.X, run.w - problem.start)
            rounding = STEPS * run.w.shape[-1] ** 0.5 * 2**-52 * float(run.w.abs().max())
            trial.at_most(
                f"{role}, {name}: off the span", outside, 0.0, rounding, "rounding",
                about=role, along=("step",),
            )  # fmt: skip
