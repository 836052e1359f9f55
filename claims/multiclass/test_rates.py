"""How fast steepest descent approaches the maximum margin (signgd_adam, Theorem 5.3 and on)."""

import math
from dataclasses import replace

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

DECAYS = (0.3, 0.5, 0.7, 1.0)


def decaying(initial: float, *decays: float) -> StepSize:
    """One batch of schedules of equal eta_0."""
    return StepSize(initial, torch.tensor(decays, dtype=torch.float64).reshape(-1, 1, 1))


def gamma_of(problem: Problem, norm: float) -> float:
    """Certified maximum margin in a norm."""
    return limits.max_margin(problem.X, problem.y, norm, classes=problem.classes).value


def onsets(story: steepest.Replay, gamma: float) -> tuple[Tensor, Tensor]:
    """t_1, from which e^x - 1 - x <= gamma eta_t / 2, and t_2 after it, with G <= 1/(2n)."""
    t_1, t_2 = story.onsets(gamma)
    if (t_2 > len(story.log_loss) // 2).any():
        raise Inconclusive("G <= 1/(2n) is not reached in the first half of this horizon")
    return t_1, t_2


def theorem_5_3(story: steepest.Replay, gamma: float, t_2: Tensor) -> Tensor:
    """Lower bound on the margin of W_t, -inf before t_2; shape (T + 1, *batch).

    gamma sum eta_s [1 - (log 2 / 2) exp(-(gamma/4) sum_{t_2 <= tau < s} eta_tau)] - sum (e^x - 1 -
    x) over t_2 <= s < t: step sizes alone.
    """
    since = steepest.accumulated(story.step_size.expand_as(story.ratio), t_2)[:-1]
    loss = math.log(2) / 2 * torch.exp(-gamma / 4 * since)
    return steepest.accumulated(gamma * story.step_size * (1 - loss) - story.remainder, t_2)


@claim(
    "multiclass/signgd-bound",
    source="signgd_adam, Theorems 5.3 and C.4, (20), (21); rebuilt from prose",
    statement=r"From $t_1$ on $L(W_{t+1}) \le L(W_t) - \frac{\gamma\eta_t}2 G(W_t)$; from $t_2$ on "
    r"$L(W_t) \le \frac{\log 2}n e^{-\frac\gamma4\sum_{s=t_2}^{t-1}\eta_s}$, and $\gamma - "
    r"\min_{i,c}(e_{y_i}-e_c)^\top W_th_i/\|W_t\|_{\max} \le \big[\gamma\sum_{s<t_2}\eta_s + "
    r"\gamma\frac{\log 2}2\sum_{s=t_2}^{t-1}\eta_se^{-\frac\gamma4\sum_{\tau=t_2}^{s-1}\eta_\tau}"
    r" + 2B^2e^{2B\eta_0}\sum_{s=t_2}^{t-1}\eta_s^2\big] / \sum_{s<t}\eta_s$.",
    hypotheses=("separable data", "decreasing step sizes of infinite sum", r"$W_0 = 0$"),
    kind="bound",
    roles=("signgd",),
    rivals=(
        "ngd",
        "gd",
        "nsd-3",
        "momentum",
        "accelerated-late",
        "sign-momentum-late",
        "step-floor",
    ),
)
def test_signgd_bound(trial: Trial) -> None:
    r"""The theorem's chain with every constant, at every step of three decaying schedules.

    t_1 and t_2 are seen along the run: the a-priori t_2 is out of any horizon's reach, the seen one
    as rigorous, as L falls from t_1 on. 2 B^2 e^{2 B eta_0} eta^2 is replaced by the smaller e^x -
    1 - x. That each step is the sign's is tested first, at every step. The formulas are rebuilt
    from the paper's prose.

    Tolerance: an entry of W_t - W_{t+1} has an error of 2^-53 |W|, with |W| / eta below 1e6; (20)
    is over L(W_t), where rounding is 2^-53 |log L|; 1e-9 for sums of 1e4 terms.
    """
    problem = problems.clusters(trial.seed)
    gamma, steps = gamma_of(problem, math.inf), trial.steps(6000, 30_000)
    rule = trial.optimizer("signgd", decaying(0.4, 0.3, 0.4, 0.5))
    start, every = problem.start.expand(3, -1, -1), range(steps + 1)
    run = steepest.paced(trial, problem, rule, 0.4, steps, start=start, record=every)
    story = steepest.replay(problem, run, math.inf)
    eta, loss = story.step_size, story.log_loss
    along = story.progress / eta
    because, places = "2^-53 |W| / eta", ("step", "run")
    trial.close("<grad, step> over eta |grad|_1", along, 1.0, 1e-9, because, along=places)
    longest = run.w.diff(dim=0).abs().amax((-2, -1)) / eta
    title = "largest entry of a step over eta"
    trial.close(title, longest, 1.0, 1e-9, because, along=places)

    t_1, t_2 = onsets(story, gamma)
    t = torch.arange(steps + 1).unsqueeze(-1)
    excess = torch.expm1(loss.diff(dim=0)) + gamma * eta / 2 * story.ratio
    because = "2^-53 |log L|"
    trial.at_most("(20) over L(W_t), from t_1 on", excess[t[:-1] >= t_1], 0.0, 1e-11, because)
    since = steepest.accumulated(eta.expand_as(story.ratio), t_2)
    over = loss - (math.log(math.log(2) / problem.n) - gamma / 4 * since)
    trial.at_most("log of L over its bound (21)", over[t >= t_2], 0.0, 1e-9, "rounding")

    known, lengths = t >= t_2, run.integrals["step_size"].flatten(1)
    bound = theorem_5_3(story, gamma, t_2) / lengths
    margin = measures.normalised_margin(problem, run.w, math.inf)
    trial.at_least("margin over max-norm", margin[known], bound[known], 1e-9, "rounding")
    trial.ordering("half of gamma, then the bound", gamma / 2, bound[-1], "it is not vacuous")


@claim(
    "multiclass/signgd-rates",
    source="signgd_adam, Corollaries 5.4 and C.5",
    statement=r"With $\eta_t = \Theta(t^{-a})$, $a = .3, .5, .7, 1$, SignGD's gap falls at least "
    r"as fast as $(S_{100} + \sum_{s<t}\eta_s^2)/S_t$, $S_t = \sum_{s<t}\eta_s$; for $a = .3$ and "
    r"$.5$ like $1/S_t$.",
    hypotheses=("separable data",),
    kind="rate",
    roles=("signgd",),
    rivals=("ngd", "gd", "nsd-3"),
)
def test_signgd_rates(trial: Trial) -> None:
    """The gap over the corollary's shape at T / 100, T / 10 and T, and two exponents.

    The corollary hides its constants (multiclass/signgd-bound has them): one will do for all four
    a. It is calibrated on seeds 0-19, where the ratio is .37 at most, and .47 on the seeds 20-59
    that did not move it; NGD has up to 19. The exponents are taken in S, from T / 100 to T, and are
    nearer to -1, the corollary's at a = 1/2 up to its logarithm, than to 0 or -2. For a < 1/2 the
    gap falls faster than the corollary promises.
    """
    problem = problems.clusters(trial.seed)
    gamma, steps = gamma_of(problem, math.inf), trial.steps(30_000, 100_000)
    rule = trial.optimizer("signgd", decaying(0.4, *DECAYS))
    times = torch.tensor([steps // 100, steps // 10, steps])
    start = problem.start.expand(len(DECAYS), -1, -1)
    run = steepest.paced(
        trial, problem, rule, 0.4, steps, start=start, record=[100, *times.tolist()]
    )
    margin = measures.normalised_margin(problem, run.w[-3:], math.inf)
    because, about = "the certified optimum", "a formula"
    trial.at_most("margin over max-norm", margin, gamma, 1e-9, because, about=about)
    gap, S = gamma - margin, run.integrals["step_size"].flatten(1)
    t = torch.arange(1, steps + 1, dtype=torch.float64).unsqueeze(-1)
    squares = ((0.4 * t ** -torch.tensor(DECAYS)) ** 2).cumsum(0)[times - 1]
    share = gap * S[-3:] / (S[0] + squares)
    trial.at_most("gap over its shape", share, 1.0, 0.0, "calibrated on seeds 0-19")
    exponent = ((gap[-1] / gap[0]).log() / (S[-1] / S[-3]).log())[:2]
    because = "nearer to -1 than to 0 or -2"
    trial.close("exponent of the gap in S, a = .3 and .5", exponent, -1.0, 0.5, because)


@claim(
    "multiclass/classes-do-not-matter",
    source="signgd_adam, Corollary 5.4 and Section 1 (no factor k)",
    statement="SignGD's rate has no factor k: for 5 and for 25 classes from the same generator the "
    r"margin keeps Theorem 5.3's bound, which has no $k$, from $t_2$ on, and that promises a "
    r"quarter of $\gamma$ at the horizon.",
    hypotheses=("separable data", "same n, d, B eta_0 and generator"),
    kind="bound",
    roles=("signgd",),
    rivals=("ngd", "gd", "nsd-3"),
)
def test_signgd_classes(trial: Trial) -> None:
    """n = 100 and d = 60 for five times the classes, at every step.

    A bound that has no k and holds at each k has no room for a factor k. That each step is the
    sign's is tested first.
    """
    steps = trial.steps(1000, 10_000)
    for k in (5, 25):
        problem = problems.clusters(trial.seed, k, 60, 100 // k, 0.5)
        gamma, rule = gamma_of(problem, math.inf), trial.optimizer("signgd", StepSize(0.4, 0.5))
        run = steepest.paced(trial, problem, rule, 0.4, steps, record=range(steps + 1))
        story = steepest.replay(problem, run, math.inf)
        along = story.progress / story.step_size
        title, because = f"k = {k}: progress over eta |grad|_1", "2^-53 |W| / eta"
        trial.close(title, along, 1.0, 1e-9, because, along=("step",))
        _, t_2 = onsets(story, gamma)
        known = torch.arange(steps + 1) >= t_2
        bound = theorem_5_3(story, gamma, t_2)[known]
        margin = measures.margin(problem, run.w[known])
        trial.at_least(f"k = {k}: margin from t_2 on", margin, bound, 1e-9, "rounding")
        share, because = bound[-1] / run.integrals["step_size"][-1] / gamma, "as stated"
        trial.ordering(f"k = {k}: 1/4, then the bound over gamma", 1 / 4, share, because)


@claim(
    "multiclass/ngd-fast",
    source="Ji and Telgarsky 2021 (ALT), Theorems 1 and 7",
    statement=r"On exponential loss, from $W_0 = 0$, NGD with $\hat\eta_t \le 1$ has gap $\le "
    r"(\ln N + 1)/(\gamma\sum_{s<t}\hat\eta_s)$ in the 2-norm at every $t$, $\hat\eta_t = \eta_t "
    r"L(W_t)/\|\nabla L(W_t)\|$, $N$ the number of margins; and $\|\nabla L\|/L$ never grows.",
    hypotheses=("separable data", r"margins scaled to $\|(e_y-e_c)x^\top\| \le 1$"),
    kind="bound",
    roles=("ngd",),
    rivals=(
        "gd",
        "signgd",
        "cd",
        "nsd-3",
        "ascent",
        "ngd-squared",
        "ngd-rows",
        "ngd-clipped",
        "ngd-epsilon",
        "stale",
        "step-doubled",
        "accelerated",
        "unnormalised",
    ),
)
def test_ngd_fast(trial: Trial) -> None:
    r"""Constant steps of NGD, on clusters and on digits, binary theory over N = n (k - 1) margins.

    Tested in the sharper form margin >= gamma |W_t| - ln N - 1/2 and |W_t| >= gamma sum eta_hat
    [derived: KL(q_t || q_{t+1}) <= eta_hat_t (f(q_t) - f(q_{t+1})) for the dual f = |Z^T q|^2 / 2,
    which needs eta_hat <= 1 but no monotone eta_hat, as the printed theorem does]. In units of the
    reach rho, eta_hat = rho^2 eta L / |grad L|, at most 1 with the step gamma / rho^2 of the test.
    The bounds leave room for a step twice as long, so that the step is tested first.

    Tolerance 1e-9: margins up to 1e3 and sums of 1e4 terms, exact to 2^-53 of that; of a step
    1e-10, as an entry of W_t - W_{t+1} has an error of 2^-53 |W|, with |W| / eta below 1e5.
    """
    clusters, digits = problems.clusters(trial.seed), problems.digits(100)
    for data, quick in ((clusters, 5000), (digits, 2000)):
        problem = replace(data, loss=losses.MulticlassExponential())
        gamma, rho = gamma_of(problem, 2.0), float(measures.reach(problem, 2.0))
        rule, steps = trial.optimizer("ngd", gamma / rho**2), trial.steps(quick, 10_000)
        every = range(steps + 1)
        run = steepest.paced(trial, problem, rule, gamma / rho**2, steps, record=every)
        story = steepest.replay(problem, run, 2.0)
        steepness = story.log_dual - story.log_loss
        where = f"{problem.name}, constant step"
        along = story.progress / story.step_size
        title, because = f"progress over eta |grad|, {where}", "2^-53 |W| / eta"
        trial.close(title, along, 1.0, 1e-10, because, along=("step",))
        length = measures.matrix_norm(run.w.diff(dim=0), 2.0, 2) / story.step_size
        title = f"length of a step over eta, {where}"
        trial.close(title, length, 1.0, 1e-10, because, along=("step",))
        rise = steepness.diff()
        trial.at_most(f"growth of log(|grad L| / L), {where}", rise, 0.0, 1e-10, "rounding")

        sizes, margin = measures.matrix_norm(run.w, 2.0, 2), measures.margin(problem, run.w)
        spread = math.log(problem.n * (problem.classes - 1))
        floor = gamma * sizes - spread - 0.5
        trial.at_least(f"margin, {where}", margin, floor, 1e-9, "rounding")
        travelled = gamma * torch.cumsum(story.step_size * torch.exp(-steepness[:-1]), 0)
        trial.at_least(f"|W_t|, {where}", sizes[1:], travelled, 1e-9, "rounding")
        gap = gamma - margin[1:] / sizes[1:]
        trial.at_most(f"gap, {where}", gap, (spread + 1) / travelled, 1e-9, "rounding")
