"""Descent, step by step: the chain of lemmas behind signgd_adam's Theorem 5.3."""

import math

import torch
from torch import Tensor

from limitpoint import (
    Inconclusive,
    Problem,
    StepSize,
    Trial,
    claim,
    limits,
    losses,
    measures,
    problems,
)
from limitpoint.theory import steepest

NORMS = (1.0, 1.5, 2.0, 3.0, math.inf)
SUMS = "rounding of some thousand sums, each exact to 2^-53"


def column(*values: float) -> Tensor:
    """One number for each run of a batch of matrices."""
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1, 1)


def gamma_of(problem: Problem, norm: float | str) -> float:
    """Certified maximum margin in a norm."""
    return limits.max_margin(problem.X, problem.y, norm, classes=problem.classes).value


def starts(problem: Problem, seed: int, batch: int) -> Tensor:
    """The problem's own start, and random ones of unit entries after it."""
    noise = torch.Generator().manual_seed(seed)
    random = torch.randn((batch, *problem.start.shape), generator=noise, dtype=torch.float64)
    return torch.cat([problem.start.unsqueeze(0), random[1:]])


def margin_bounds(
    trial: Trial, name: str, margin: Tensor, story: steepest.Replay, gamma: float
) -> None:
    """The margin (T + 1, *batch) of a run against its two bounds, and one that must fail."""
    floor, bound = story.margin_floor(gamma), story.margin_bound(gamma)
    trial.at_least(f"margin at every step, {name}", margin, floor, 1e-9, SUMS, along=("step",))
    trial.ordering(
        f"margin at the end, {name}", margin[-1, 0], story.margin_floor(2 * gamma)[-1, 0],
        "control: what twice the maximum margin would promise the run of slowest decay",
    )  # fmt: skip
    known = torch.isfinite(bound)
    if not known[-1].all():
        raise Inconclusive(f"L <= log 2 / n is not reached in this horizon, {name}")
    trial.at_least(f"margin from t_1 on, {name}", margin[known], bound[known], 1e-9, SUMS)


@claim(
    "multiclass/descent",
    source="signgd_adam, (5), (8), Lemmas C.1 and E.3",
    statement=r"At every step of normalised steepest descent $\langle\nabla L(W_t), W_t - W_{t+1}"
    r"\rangle = \eta_t\|\nabla L(W_t)\|_*$, and $L(W_{t+1}) \le L(W_t) - \eta_t\|\nabla L(W_t)\|_* "
    r"+ 2B^2\eta_t^2 e^{2B\eta_t} G(W_t)$, for every $p \ge 1$, on wide and on tall matrices.",
    hypotheses=("none: at every step, for any step size",),
    kind="inequality",
    roles=("nsd", "signgd", "spectral", "ngd"),
    rivals=(
        "nsd-rounded",
        "accelerated-late",
        "ascent",
        "stale",
        "ngd",
        "signgd",
        "cd",
        "gd",
        "schedule-late",
        "step-doubled",
        "accelerated",
        "unnormalised",
        "signgd:ngd",
        "signgd:sign-epsilon",
        "signgd:step-doubled",
        "signgd:sign-momentum-late",
        "spectral:spectral-tall",
        "spectral:newton-schulz",
        "ngd:signgd",
        "ngd:ngd-rows",
        "ngd:ngd-epsilon",
    ),
)
def test_nsd_signgd_spectral_ngd_descent(trial: Trial) -> None:
    r"""Constant, decaying and very long steps, from zero and from random starts, in seven norms.

    One of the norms is drawn; W is 4 x 20 and 12 x 8, where a factor for tall matrices would show.
    The step's length and its inner product with the gradient are identities: they are what makes a
    step the steepest. The second-order term tested is G (e^x - 1 - x) with x = rho eta, rho the
    reach; it implies the printed one, where x = 2 B eta, and (8) follows by Lemma 4.1 [derived,
    see `limitpoint.theory.steepest`]. Both sides of C.1 are over L(W_t).

    Tolerance: an entry of W_t - W_{t+1} has an error of 2^-53 |W|, with |W| / eta below 1e4 here
    1e-11 of the step; log L has 2^-53 |log L|, with |log L| below 1e3.
    """
    wide, tall = (
        problems.clusters(trial.seed, *kind) for kind in ((4, 20, 5, 0.2), (12, 8, 3, 0.1))
    )
    lengths, decays = column(1.0, 1.0, 8.0, 2.0), column(0.0, 0.5, 0.5, 1.0)
    drawn = 1 + 10 ** (2 * torch.rand((), generator=torch.Generator().manual_seed(trial.seed)) - 1)
    players = [(wide, "nsd", p, {"p": p}) for p in (*NORMS, float(drawn))]
    players += [(tall, "nsd", float(drawn), {"p": float(drawn)}), (wide, "signgd", math.inf, {})]
    players += [(problem, "spectral", "spectral", {}) for problem in (wide, tall)]
    players += [(wide, "ngd", 2.0, {})]
    for problem, role, norm, own in players:
        steps, start = trial.steps(300, 2000), starts(problem, trial.seed, len(lengths))
        schedule = StepSize(lengths / measures.reach(problem, norm), decays)
        rule = trial.optimizer(role, schedule, **own)
        run = trial.run(problem, rule, steps, start=start, record=range(steps + 1))
        story = steepest.replay(problem, run, norm)
        rounding, judged = "2^-53 |W| / eta", {"about": role, "along": ("step", "run")}
        where = f"{role}, norm {norm:.3g}" if own else f"{role}, k = {problem.classes}"
        along = story.progress / story.step_size
        title = f"progress over eta |grad|_*, {where}"
        trial.close(title, along, 1.0, 1e-10, rounding, **judged)
        size = measures.matrix_norm(run.w.diff(dim=0), norm, 2) / story.step_size
        title = f"length of a step over eta, {where}"
        trial.close(title, size, 1.0, 1e-10, rounding, **judged)
        excess, title = story.descent_excess(), f"(L(W_t+1) - bound) / L(W_t), {where}"
        trial.at_most(title, excess, 0.0, 1e-11, "2^-53 |log L|", **judged)


@claim(
    "multiclass/unnormalised-margin",
    source="signgd_adam, Lemmas 5.2, C.2 and C.3, (9)",
    statement=r"If $L(W_s) \le \log 2/n$ from $t_1$ on, then $\min_{i,c\ne y_i}(e_{y_i}-e_c)^\top "
    r"W_t h_i \ge \gamma\sum_{s=t_1}^{t-1}\eta_s G(W_s)/L(W_s) - 2B^2e^{2B\eta_0}\sum_{s=t_1}^{t-1}"
    r"\eta_s^2$; and $\|W_t\|_{\max} \le \|W_0\|_{\max} + \sum_{s<t}\eta_s$.",
    hypotheses=("separable data", r"decreasing step sizes"),
    kind="bound",
    roles=("signgd",),
    rivals=(
        "ngd",
        "gd",
        "nsd-3",
        "ascent",
        "momentum",
        "step-doubled",
        "accelerated",
        "unnormalised",
        "sign-feedback",
        "sign-epsilon",
        "sign-majority",
    ),
)
def test_signgd_unnormalised_margin(trial: Trial) -> None:
    r"""SignGD's margin and max-norm at every step, with explicit constants and measured G / L.

    A second bound holds at every t, without t_1: (8) bounds the loss, Lemma B.4 the margin by the
    loss [derived, `Replay.margin_floor`]. Both have (e^x - 1 - x) G / L with x = 2 B eta in place
    of 2 B^2 e^{2 B eta_0} eta^2, which is more [derived, see `limitpoint.theory.steepest`]; they
    imply the printed one. Step sizes decay with exponents .3, .5 and .8; two of the starts are
    random. The control is the bound with twice the margin, which the run falls short of.

    Tolerance 1e-9: 2^-53 of sums up to 1e3, some thousand terms.
    """
    problem = problems.clusters(trial.seed, 4, 20, 5, 0.2)
    gamma, steps = gamma_of(problem, math.inf), trial.steps(2000, 20000)
    start, every = starts(problem, trial.seed, 3), range(steps + 1)
    rule = trial.optimizer("signgd", StepSize(0.5, column(0.3, 0.5, 0.8)))
    run = steepest.paced(trial, problem, rule, 0.5, steps, start=start, record=every)
    sizes = measures.matrix_norm(run.w, math.inf, 2)
    allowed = sizes[0] + run.integrals["step_size"].flatten(1)
    trial.at_most("max-norm of W_t", sizes[1:], allowed[1:], 1e-10 * allowed[1:], SUMS)
    story = steepest.replay(problem, run, math.inf)
    margin_bounds(trial, "cross-entropy", measures.margin(problem, run.w), story, gamma)


@claim(
    "multiclass/other-losses",
    source="signgd_adam, App. F; derived",
    statement=r"For the multiclass exponential loss and PairLogLoss, with their own proxies $G$: "
    r"$\gamma G \le \|\nabla L\|_* \le 2B G$, the descent of Lemma C.1 and the margin bound of "
    r"Lemma C.2 hold, and $G/L \ge 1 - nL/2$ ($G = L$ for the exponential loss).",
    hypotheses=("separable data", r"decreasing step sizes"),
    kind="bound",
    roles=("signgd",),
    rivals=("ngd", "gd", "ascent"),
)
def test_signgd_other_losses(trial: Trial) -> None:
    r"""The chain of the cross-entropy, over the two other losses, with SignGD.

    G = (1/n) sum over i and c != y_i of e^{a_ic} and of sigma(a_ic), a_ic = -(e_y - e_c)^T W h_i:
    the part of -dL/dlogit_y, as in (7). Each second derivative is at most rho^2 G. The steps and
    tolerances are those of the claims about cross-entropy.
    """
    for loss in (losses.MulticlassExponential(), losses.PairLogLoss()):
        problem = problems.clusters(trial.seed, 4, 20, 5, 0.2, loss=loss)
        gamma, rho = gamma_of(problem, math.inf), measures.reach(problem, math.inf)
        name, steps = type(loss).__name__, trial.steps(1000, 20000)
        start, every = starts(problem, trial.seed, 2), range(steps + 1)
        rule = trial.optimizer("signgd", StepSize(0.3, column(0.3, 0.5)))
        run = steepest.paced(trial, problem, rule, 0.3, steps, start=start, record=every)
        story = steepest.replay(problem, run, math.inf)

        steep = torch.exp(story.log_dual - story.log_proxy)
        trial.at_least(
            f"gradient over proxy, {name}", steep, gamma, 1e-11, SUMS, along=("step", "run")
        )
        trial.at_most(
            f"gradient over proxy, {name}", steep, rho, 1e-11, SUMS, along=("step", "run")
        )
        floor = 1 - problem.n * torch.exp(story.log_loss[:-1]) / 2
        trial.at_least(f"G/L, {name}", story.ratio, floor, 1e-11, SUMS, along=("step", "run"))
        if isinstance(loss, losses.MulticlassExponential):
            trial.close(f"G/L, {name}", story.ratio, 1.0, 1e-11, SUMS, along=("step", "run"))
        else:
            trial.at_most(f"G/L, {name}", story.ratio, 1.0, 1e-11, SUMS, along=("step", "run"))
        excess = story.descent_excess()
        trial.at_most(
            f"(L(W_t+1) - bound) / L(W_t), {name}",
            excess,
            0.0,
            1e-11,
            "2^-53 |log L|",
            along=("step", "run"),
        )
        margin_bounds(trial, name, measures.margin(problem, run.w), story, gamma)
