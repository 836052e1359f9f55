"""Each steepest descent maximises the margin in its own norm (signgd_adam, Sec. 5 and App. E)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from limitpoint import (
    Problem,
    StepSize,
    Trajectory,
    Trial,
    claim,
    limits,
    measures,
    problems,
)
from limitpoint.theory import steepest

NORMS = (1.0, 1.5, 2.0, 3.0, math.inf)


def optima(problem: Problem, norms: Sequence[float | str]) -> Tensor:
    """Certified maximum margin in each norm."""
    X, y, k = problem.X, problem.y, problem.classes
    found = [limits.max_margin(X, y, p, classes=k).value for p in norms]
    return torch.tensor(found, dtype=torch.float64)


def own_margin(
    trial: Trial,
    problem: Problem,
    run: Trajectory,
    norm: float | str,
    best: Tensor,
    share: float = 0.5,
) -> None:
    """Each step is the steepest; the margin lies between its bounds and the optimum at each."""
    story = steepest.replay(problem, run, norm)
    title = f"{problem.name}: progress over eta |grad|_*, norm {norm}"
    along = story.progress / story.step_size
    trial.close(title, along, 1.0, 1e-9, "2^-53 |W| / eta", along=("step",))
    bound = torch.maximum(story.margin_floor(best), story.margin_bound(best))
    margin = measures.margin(problem, run.w[1:])
    where = f"{problem.name}: margin at every step in norm {norm}"
    trial.at_least(
        where,
        margin / best,
        bound[1:] / best,
        1e-9,
        "rounding of the sums",
        along={"step": run.times[1:]},
    )
    measured = measures.normalised_margin(problem, run.w[1:], norm)
    where = f"{problem.name}: margin over optimum in norm {norm}"
    because, about = "certified gap", "a formula"
    trial.at_most(
        f"{where}, every step",
        measured / best,
        1.0,
        1e-6,
        because,
        about=about,
        along={"step": run.times[1:]},
    )
    promised = bound[-1] / run.integrals["step_size"][-1].reshape(-1) / best
    trial.at_least(f"{where}, at the end", measured[-1] / best, promised, 1e-9, "|W| <= sum eta")
    title = f"{problem.name}: {share:g}, then what the bound promises in norm {norm} at the end"
    trial.ordering(title, share, promised, "the bound is not vacuous")


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

    The bound at every step (clusters): the margin is at least the sum of (gamma eta - remainder)
    G / L less a constant, G / L measured and the remainder e^x - 1 - x with x = rho eta, and
    ||W_t|| <= sum eta (Lemmas C.1 to C.3, see `limitpoint.theory.steepest`; no fitted constant). It
    is .65 to .86 of the optimum at the horizon. The orderings are strict, without a gap.
    Step sizes are eta_0 / reach, which makes the norms comparable; eta_0 is larger for digits,
    whose margins are 3 to 12 times smaller, so that orderings show within the horizon.
    """
    clusters, digits = problems.clusters(trial.seed, 4, 20, 5, 0.2), problems.digits(100)
    for problem, norms, eta in ((clusters, NORMS, 1.0), (digits, (1.0, 2.0, math.inf), 4.0)):
        best, steps = optima(problem, norms), trial.steps(3000, 10000)
        runs = []
        for p in norms:
            initial = eta / float(measures.reach(problem, p))
            nsd, every = trial.optimizer("nsd", StepSize(initial, 0.5), p=p), range(steps + 1)
            runs.append(steepest.paced(trial, problem, nsd, initial, steps, record=every))
        for p, optimum, own in zip(norms, best, runs, strict=True):
            ratios = [measures.normalised_margin(problem, run.final, p) / optimum for run in runs]
            trial.ordering(
                f"{problem.name}: margin over optimum in norm {p}, others' against its own",
                [ratio for run, ratio in zip(runs, ratios, strict=True) if run is not own],
                ratios[runs.index(own)], "strict; certified optimum",
            )  # fmt: skip
        if problem is clusters:
            for p, optimum, run in zip(norms, best, runs, strict=True):
                own_margin(trial, problem, run, p, optimum)


@claim(
    "multiclass/spectral-max-margin",
    source="signgd_adam v4 (arXiv 2502.04664v4), Sec. 3, Theorem 1",
    statement="Spectral descent maximises the margin in the spectral norm, on a wide and on a tall "
    "matrix of weights.",
    hypotheses=("separable data", r"$\eta_t = \Theta(t^{-1/2})$"),
    kind="bound",
    roles=("spectral",),
    rivals=(
        "newton-schulz",
        "signgd",
        "ngd",
        "ngd-rows",
        "spectral-rank-one",
        "spectral-stretched",
        "spectral-tall",
    ),
)
def test_spectral_max_margin(trial: Trial) -> None:
    r"""The finite-time bound at every step, for W 4 x 20 and 12 x 8.

    The bound is that of multiclass/nsd-own-norm, in the spectral norm (read in v4), without a
    fitted constant: at the horizon it is more than a third of the certified optimum. Five
    Newton-Schulz iterations break ||W_t|| <= sum eta.
    """
    for kind in ((4, 20, 5, 0.2), (12, 8, 3, 0.1)):
        problem = problems.clusters(trial.seed, *kind)
        best, steps = optima(problem, ["spectral"]), trial.steps(2000, 10_000)
        initial = 1 / float(measures.reach(problem, "spectral"))
        spectral = trial.optimizer("spectral", StepSize(initial, 0.5))
        every = range(steps + 1)
        run = steepest.paced(trial, problem, spectral, initial, steps, record=every)
        size, S = measures.matrix_norm(run.w, "spectral", 2), run.integrals["step_size"]
        title = f"k = {problem.classes}: |W_t| over S_t"
        trial.at_most(title, size[1:] / S[1:], 1.0, 1e-9, "rounding of sums", along=("step",))
        own_margin(trial, problem, run, "spectral", best, 1 / 3)
