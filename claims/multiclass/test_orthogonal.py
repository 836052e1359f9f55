"""Muon with the exact polar factor, in the spectral norm (signgd_adam v4, Sec. 4)."""

import torch

from limitpoint import Problem, StepSize, Trial, claim, limits, measures, problems
from limitpoint.numerics import tensor
from limitpoint.theory import moments, steepest

#: Clusters with W 4 x 20 and 12 x 8.
SHAPES = ((4, 20, 5, 0.2), (12, 8, 3, 0.1))


def gamma_of(problem: Problem) -> float:
    """Certified maximum margin in the spectral norm."""
    return limits.max_margin(problem.X, problem.y, "spectral", classes=problem.classes).value


@claim(
    "multiclass/muon-max-margin",
    source="signgd_adam v4 (arXiv 2502.04664v4), Sec. 4, Theorem 2; the bound is derived",
    statement=r"Muon with the exact polar factor maximises the margin in the spectral norm: "
    r"$\|W_t\| \le \sum_{s<t}\eta_s$, and what its measured progress promises of the margin is "
    r"more than half of $\gamma\sum\eta_s$, on a wide and on a tall matrix.",
    hypotheses=("separable data", r"$\eta_t = \Theta(t^{-1/2})$", "exact polar factor"),
    kind="bound",
    roles=("muon",),
    rivals=(
        "newton-schulz",
        "signgd",
        "ngd",
        "muon-rank-one",
        "ascent",
        "accelerated",
        "unnormalised",
        "muon-tall",
    ),
)
def test_muon_max_margin(trial: Trial) -> None:
    """The norm at every step, and the margin in the end against `steepest.promise`.

    The promise has nothing fitted (multiclass/adam-max-norm): after 2000 steps it is .94 of gamma S
    on the wide matrix, and .65 or more on the tall one. With five Newton-Schulz iterations the norm
    outgrows the steps. Tolerance: rounding of sums.
    """
    for kind in SHAPES:
        problem = problems.clusters(trial.seed, *kind)
        gamma, steps = gamma_of(problem), trial.steps(2000, 10_000)
        initial, name = 1 / float(measures.reach(problem, "spectral")), f"k = {problem.classes}"
        muon = trial.optimizer("muon", StepSize(initial, 0.5), free=("beta1",), beta1=0.9)
        run = steepest.paced(trial, problem, muon, initial, steps, record=range(steps + 1))
        size, S = measures.matrix_norm(run.w, "spectral", 2), run.integrals["step_size"].flatten()
        trial.at_most(
            f"{name}: |W_t| over S_t",
            size[1:] / S[1:],
            1.0,
            1e-9,
            "rounding of sums",
            along=("step",),
        )
        margin = measures.margin(problem, run.final)
        promise = steepest.promise(problem, run, "spectral")
        because = "rounding of sums"
        trial.at_least(f"{name}: margin", margin, promise, 1e-9, because, about="a formula")
        title = f"{name}: half, then the margin promised over gamma S"
        trial.ordering(title, 0.5, promise / (gamma * S[-1]), "as stated")


@claim(
    "multiclass/muon-step",
    source="signgd_adam v4, (5) with momentum, Lemma 6",
    statement=r"At every step of Muon $\langle M_t, W_t-W_{t+1}\rangle = \eta_t\|M_t\|_*$, and "
    r"$\langle\nabla L(W_t), W_{t+1}-W_t\rangle \le 2\eta_t\|M_t - \nabla L(W_t)\|_* - "
    r"\eta_t\gamma G(W_t)$, in the nuclear norm.",
    hypotheses=("separable data", "exact polar factor", "momentum from zero, without Nesterov's"),
    kind="identity",
    roles=("muon",),
    rivals=(
        "newton-schulz",
        "signgd",
        "ngd",
        "momentum",
        "ascent",
        "stale",
        "schedule-late",
        "step-doubled",
        "accelerated",
        "unnormalised",
        "muon-rank-one",
        "muon-stretched",
        "muon-order",
        "muon-nesterov",
        "muon-scaled",
        "muon-no-momentum",
        "muon-tall",
        "muon-signs",
        "accelerated-late",
    ),
)
def test_muon_step(trial: Trial) -> None:
    r"""The momentum is rebuilt from the gradients along the run, and the step held against it.

    W is 4 x 20 and 12 x 8, where a factor for tall matrices would show.

    Tolerance 1e-9: an entry of W_t - W_{t+1} has an error of 2^-53 |W|, with |W| / eta below 1e3;
    rows of the momentum differ by factors of up to 1e4 in size.
    """
    for kind in SHAPES:
        judge_step(trial, problems.clusters(trial.seed, *kind))


def judge_step(trial: Trial, problem: Problem) -> None:
    """The step against the rebuilt momentum, and Lemma 6."""
    gamma, steps = gamma_of(problem), trial.steps(600, 2000)
    schedule = StepSize(1 / float(measures.reach(problem, "spectral")), 0.5)
    rule, k = trial.optimizer("muon", schedule, free=("beta1",), beta1=0.9), problem.classes
    trial.require("without Nesterov's momentum", not rule.settings.get("nesterov", False))
    beta1 = rule.settings.get("momentum", rule.settings.get("beta1", 0.9))
    run = trial.run(problem, rule, steps, record=range(steps + 1))
    eta, moves = run.integrals["step_size"].diff(), run.w.diff(dim=0)
    gradients = tensor(problem.grad(run.w[:-1]))
    momentum = moments.moving_average(gradients, beta1)

    size = measures.matrix_norm(momentum, "nuclear", 2)
    along = -(momentum * moves).sum((-2, -1)) / (eta * size)
    because, title = "2^-53 |W| / eta", f"k = {k}: <M, step> over eta |M|_*"
    trial.close(title, along, 1.0, 1e-9, because, along=("step",))
    length = measures.matrix_norm(moves, "spectral", 2) / eta
    title = f"k = {k}: length of a step over eta"
    trial.close(title, length, 1.0, 1e-9, because, along=("step",))
    proxy = torch.exp(measures.log_proxy(problem, run.w[:-1]))
    late = measures.matrix_norm(momentum - gradients, "nuclear", 2)
    rise = (gradients * moves).sum((-2, -1)) / (eta * proxy)
    bound = 2 * late / proxy - gamma
    trial.at_most(f"k = {k}: Lemma 6 over eta G", rise, bound, 1e-9, "rounding")
