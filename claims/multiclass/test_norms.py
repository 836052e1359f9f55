"""Each steepest descent maximises the margin in its own norm (signgd_adam, Sec. 5 and App. E)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from limitpoint import (
    Inconclusive,
    Problem,
    StepSize,
    Trajectory,
    Trial,
    claim,
    limits,
    measures,
    problems,
    steepest,
)

NORMS = (1.0, 1.5, 2.0, 3.0, math.inf)


def optima(problem: Problem, norms: Sequence[float | str]) -> Tensor:
    """Certified maximum margin in each norm."""
    X, y, k = problem.X, problem.y, problem.classes
    return torch.tensor([limits.max_margin(X, y, p, classes=k).value for p in norms])


def own_margin(trial: Trial, problem: Problem, run: Trajectory, norm: float, best: float) -> None:
    """The normalised margin is above its finite-time bound wherever the bound says something."""
    story = steepest.replay(problem, run, norm)
    bound = story.margin_bound(best) / run.integrals["step_size"]
    known = torch.isfinite(bound)
    if not known.any():
        raise Inconclusive(f"the {norm}-norm run does not reach L <= log 2 / n in its horizon")
    measured = measures.normalised_margin(problem, run.w, norm)
    trial.at_least(
        f"margin in norm {norm} at every step from {int(known.int().argmax())} on",
        measured[known], bound[known], 1e-10 * best, "rounding of the sums",
    )  # fmt: skip
    trial.at_most(f"margin in norm {norm}", measured[1:], best, 1e-6 * best, "certified gap")


@claim(
    "multiclass/nsd-own-norm",
    source="signgd_adam, Section 5, Remark 5.5 and App. E",
    statement=r"Normalised steepest descent in an entrywise $p$-norm maximises the margin in that "
    r"norm, and comes nearer to it than the steepest descents in the other norms do.",
    hypotheses=("separable data", r"$\eta_t = \Theta(t^{-1/2})$"),
    kind="bound",
    roles=("nsd",),
    rivals=("nsd-3", "ngd", "signgd", "cd", "gd", "ascent"),
)
def test_nsd_own_norm(trial: Trial) -> None:
    r"""Five norms on clusters and three on digits: each descent is best in its own.

    The bound at every step (clusters): from t_1 on, where L stays <= log 2 / n, the margin is at
    least sum (gamma eta - remainder) G / L, and ||W_t|| <= sum eta (Lemmas C.2 and C.3 with the
    constants of `limitpoint.steepest`; no fitted one). The orderings are strict, without a gap.
    Step sizes are eta_0 / reach, which makes the norms comparable; eta_0 is larger for digits,
    whose margins are 3 to 12 times smaller, so that orderings show within the horizon.
    """
    clusters, digits = problems.clusters(trial.seed, 4, 20, 5, 0.2), problems.digits(100)
    for problem, norms, eta in ((clusters, NORMS, 1.0), (digits, (1.0, 2.0, math.inf), 4.0)):
        best, steps = optima(problem, norms), trial.steps(3000, 10000)
        runs = []
        for p in norms:
            nsd = trial.optimizer(
                "nsd", StepSize(eta / float(measures.reach(problem, p)), 0.5), p=p
            )
            runs.append(trial.run(problem, nsd, steps, record=range(steps + 1)))
        for p, optimum, own in zip(norms, best, runs, strict=True):
            ratios = [measures.normalised_margin(problem, run.final, p) / optimum for run in runs]
            trial.ordering(
                f"{problem.name}: margin over optimum in norm {p}, others' against its own",
                [ratio for run, ratio in zip(runs, ratios, strict=True) if run is not own],
                ratios[runs.index(own)], "strict; certified optimum",
            )  # fmt: skip
        if problem is clusters:
            for p, optimum, run in zip(norms, best, runs, strict=True):
                own_margin(trial, problem, run, p, float(optimum))
