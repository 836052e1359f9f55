"""l2-SAM on a diagonal network and one example: minor first, major last (minor_first, Section 4).

The paper's text was not at hand: its theorems are known from a summary, the closed forms that the
claims test are derived (`limitpoint.theory.amplification`).
"""

import math

import torch
from torch import Tensor

from limitpoint import (
    Erratum,
    Inconclusive,
    Problem,
    Scaled,
    Trajectory,
    Trial,
    claim,
    limits,
    measures,
    models,
    numerics,
    optimizers,
    problems,
    stack,
)
from limitpoint.theory import amplification

RHO = 1.0
SAM = optimizers.L2SAM(rho=RHO)
FIGURE_3 = [4.0, 5.0, 6.0, 7.0, 8.0]
FIGURE_4 = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def example(problem: Problem) -> Tensor:
    """Mu, shape (*batch, d)."""
    return problem.X[..., 0, :]


def log_predictor(w: Tensor) -> Tensor:
    """log |beta_j|, shape (*batch, d)."""
    return models.DiagonalProduct.predictor(w).abs().log()


def rescaled_flow(trial: Trial, problem: Problem, end: float, rho: float = RHO) -> Trajectory:
    """The flow on its rescaled clock tau, with S, the integral of dtau / n(beta)."""
    rate = amplification.slope(problem, optimizers.L2SAM(rho=rho))
    return trial.flow(
        problem,
        trial.optimizer("sam-l2", rho=rho),
        torch.linspace(0, end, 101).tolist(),
        speed=amplification.rescaling(rate),
        integrals={"S": lambda w: rate(w) * (1 / amplification.weighted_norm(problem, w))},
    )


@claim(
    "minor-first/sequential-in-time",
    source="minor_first, Theorems 4.3 and 4.4 (from a summary); derived",
    statement=r"Under the rescaled $\ell_2$-SAM flow, depth 2, uniform start, $\log\beta_j = "
    r"2\log\alpha + 2\mu_j\tau - \sqrt2\rho\mu_j^2 S$; the dominant coordinate is the one whose "
    r"$\mu_j$ is nearest to $\bar c/2$, $\bar c = \sqrt2\tau/(\rho S)$; its index never goes down.",
    hypotheses=(
        "one example, 0 < mu_1 < ... < mu_d",
        "depth 2, both layers start at the same alpha",
        "alpha / rho >= sum mu^4 / (sqrt(2) ||mu|| sum mu^3), for the order",
    ),
    kind="identity",
    roles=("sam-l2",),
    rivals=("gd", "usam", "usam-gentle", "sam-linf", "sam-l2-layerwise"),
)
def test_sam_l2_sequential_in_time_flow(trial: Trial) -> None:
    """Figure 3's example just above the monotone threshold, and a drawn one.

    Derived, as the theorems' text was not at hand. Tolerance 1e-6 of log beta_j: S is a state of
    the same equation, with local errors of 1e-11. Times within 1e-5 of a tie of c_bar / 2 are left
    out: the lead there is 2 (mu_j - mu_k) tau (1 - (mu_j + mu_k) / c_bar), of the error's size.
    """
    drawn = problems.drawn_mu(trial.seed)
    for name, mu, end in (("Figure 3", FIGURE_3, 1.6), ("drawn", drawn, 12 / drawn[-1])):
        ratio = 1.01 * amplification.survival_certain(torch.tensor(mu))
        problem = problems.one_example(mu, ratio * RHO)
        run = rescaled_flow(trial, problem, end)
        tau, S = torch.as_tensor(run.times).unsqueeze(-1), run.integrals["S"]
        closed = amplification.l2_log_predictor(tau, S, ratio * RHO, example(problem), RHO)
        measured = log_predictor(run.w)
        trial.close(f"{name}: log beta_j", measured, closed, 1e-6, "local errors")
        half = amplification.mean_drive(tau[1:], S[1:], RHO)[:, 0] / 2
        apart = tie_distance(example(problem), half) > 1e-5
        found = measured[1:].argmax(-1)[apart]
        expected = amplification.nearest(example(problem), half)[apart]
        trial.identity(f"{name}: dominant coordinate", found, expected, 0.0, "ties left out")
        trial.at_least(f"{name}: steps of its index", found.diff(), 0, 0, "it is an integer")
        trial.ordering(f"{name}: its index, first and last", found[0], found[-1], "integers")


def tie_distance(mu: Tensor, point: Tensor) -> Tensor:
    """How far each point (...) is from the nearest middle of two neighbours in mu (d)."""
    return (point.unsqueeze(-1) - (mu[1:] + mu[:-1]) / 2).abs().amin(-1)


@claim(
    "minor-first/sequential-in-time-discrete",
    source="minor_first, Theorems 4.3 and 4.4 (from a summary); derived",
    statement=r"With small steps $\ell_2$-SAM follows the flow's closed form and order, with "
    r"$\tau = \sum\eta\sigma$ and $S = \sum\eta\sigma/n$.",
    hypotheses=(
        "one example, 0 < mu_1 < ... < mu_d",
        "depth 2, both layers start at the same alpha",
        "alpha / rho >= sum mu^4 / (sqrt(2) ||mu|| sum mu^3), for the order",
    ),
    kind="bound",
    roles=("sam-l2",),
    rivals=(
        "gd",
        "usam",
        "usam-gentle",
        "sam-linf",
        "sam-l2-layerwise",
        "ascent",
        "stale",
        "step-doubled",
        "accelerated",
        "rho-doubled",
        "twice-uphill",
        "perturbation-kept",
    ),
)
def test_sam_l2_sequential_in_time(trial: Trial) -> None:
    """The algorithm itself on Figure 3's example from three starts, and on a drawn one.

    A step multiplies w_j by 1 + x, x = eta sigma mu_j (1 - mu_j / c), |x| < .02, and
    x - x^2 / (2 (1 - |x|)) <= log(1 + x) <= x: log beta_j lies within 1.03 sum x^2 below its closed
    form, to rounding. The dominant coordinate is read where the closed form leads by more than
    that, which is at nine recorded times of ten. The radius is small, so that sigma stays near 1/2
    until the major coordinate leads: only alpha / rho matters to the order.
    """
    rho, steps = 1e-3, trial.steps(2000, 40_000)
    mus = [FIGURE_3, FIGURE_3, FIGURE_3, problems.drawn_mu(trial.seed)]
    least = [amplification.survival_certain(torch.tensor(mu)) for mu in mus]
    alphas = [1.01 * least[0] * rho, 0.45 * rho, 0.6 * rho, 1.01 * least[3] * rho]
    problem = stack([problems.one_example(mu, a) for mu, a in zip(mus, alphas, strict=True)])
    rate = amplification.slope(problem, optimizers.L2SAM(rho=rho))
    sums = {
        "tau": lambda w: rate(w).tensor(),
        "S": lambda w: rate(w).tensor() / amplification.weighted_norm(problem, w),
        "squares": lambda w: (rate(w).tensor() * amplification.l2_growth(problem, w, rho)) ** 2,
    }
    rule = trial.optimizer("sam-l2", 4.0 / steps, rho=rho)
    eta = float(rule.step_size.at(0))  # a user's own, if there is one
    run = trial.run(problem, rule, steps, record=range(0, steps + 1, steps // 200), integrals=sums)
    tau, S, mu = run.integrals["tau"], run.integrals["S"], example(problem)
    alpha = problem.start[:, 0, :1]
    closed = amplification.l2_log_predictor(tau, S, alpha, mu, rho)
    late = 1.03 * eta * run.integrals["squares"]
    measured = log_predictor(run.w)
    because = "x - x^2 / (2 (1 - |x|)) <= log(1 + x) <= x, rounding of the steps"
    trial.close("log beta_j", measured, closed - late / 2, late / 2 + 1e-9, because)
    leads = closed.topk(2, dim=-1).values
    apart = (leads[..., 0] - leads[..., 1] > late.amax(-1) + 1e-9) & (tau[..., 0] > 0)
    found = measured.argmax(-1)
    expected = amplification.nearest(mu, amplification.mean_drive(tau, S, rho)[..., 0] / 2)
    trial.identity("dominant coordinate", found[apart], expected[apart], 0.0, "ties left out")
    trial.at_least(
        "share of times without a tie", apart.double().mean(0), 0.9, 0.0, "the claim's own"
    )
    for run_found, kept in zip(found.T, apart.T, strict=True):
        index = run_found[kept]
        trial.at_least("steps of its index", index.diff(), 0, 0, "it is an integer")
        trial.ordering("its index, first and last", index[0], index[-1], "integers")


def one_step_growth(trial: Trial, problem: Problem, eta: float, rho: float) -> Tensor:
    """(w_1 / w_0 - 1) / (eta sigma), the growth per unit of tau in one step; shape (B, d)."""
    rate = amplification.slope(problem, optimizers.L2SAM(rho=rho))
    rule, sums = trial.optimizer("sam-l2", eta, rho=rho), {"tau": lambda w: rate(w).tensor()}
    run = trial.run(problem, rule, 1, record=[0, 1], integrals=sums)
    return (run.w[1] / run.w[0] - 1)[:, 0] / run.integrals["tau"][1]


@claim(
    "minor-first/sequential-in-start",
    source="minor_first, Theorem 4.5 (4.4 in another version) (from a summary); derived",
    statement=r"As the start $\alpha/\rho$ grows, the coordinate that $\ell_2$-SAM favours moves "
    r"from the first to the last: at once, where $d\log w_j/d\tau = \mu_j(1-\mu_j/c(0))$ is "
    r"largest for $\mu_j$ nearest to $c(0)/2$, and at any later $\tau$.",
    hypotheses=(
        "one example, 0 < mu_1 < ... < mu_d",
        "depth 2, both layers start at the same alpha",
    ),
    kind="identity",
    roles=("sam-l2",),
    rivals=("gd", "usam", "usam-gentle", "sam-linf", "sam-l2-layerwise"),
)
def test_sam_l2_sequential_in_start(trial: Trial) -> None:
    """A sweep of 40 starts: one step for the growth, 200 steps for the dominant coordinate.

    Derived. A step's growth is exact; the difference w_1 - w_0 has 1e-13 of rounding over eta. At
    a common tau the equation of log beta is cooperative (c rises with each beta_k), so that c_bar
    rises with alpha and the index cannot fall; tau is common to within a step, over which c_bar
    moves ten times less than from one start to the next.
    """
    mu, rho, eta = problems.drawn_mu(trial.seed), 1e-3, 5e-3
    entries = torch.tensor(mu)
    ends = amplification.collapse_certain(entries), 1.1 * amplification.major_first(entries)
    ratios = torch.linspace(*ends, 40, dtype=torch.float64)
    problem = stack([problems.one_example(mu, rho * float(ratio)) for ratio in ratios])
    growth = one_step_growth(trial, problem, eta, rho)
    expected = amplification.l2_growth(problem, problem.start, rho)
    trial.identity("growth at the start", growth, expected, 1e-9, "1e-13 / eta")
    half = amplification.drive(problem, problem.start, rho)[:, 0] / 2
    apart = tie_distance(entries.double(), half) > 1e-6
    fastest, nearest = growth.argmax(-1), amplification.nearest(example(problem), half)
    trial.identity("fastest at the start", fastest[apart], nearest[apart], 0.0, "ties left out")
    trial.identity(
        "fastest, first and last start", fastest[[0, -1]], [0, len(mu) - 1], 0.0, "integers"
    )

    alive = stack([problems.one_example(mu, rho * float(r)) for r in ratios if r > survival(mu)])
    index = dominant_at_common_tau(trial, alive, eta, rho)
    trial.at_least("steps of the dominant index along alpha", index.diff(), 0, 0, "an integer")
    trial.ordering("dominant index, first and last start", index[0], index[-1], "integers")


def survival(mu: list[float]) -> float:
    """The alpha/rho above which nothing collapses."""
    return amplification.survival_certain(torch.tensor(mu))


def dominant_at_common_tau(trial: Trial, problem: Problem, eta: float, rho: float) -> Tensor:
    """Index of the dominant coordinate of each run, at half the least final tau; shape (B)."""
    rate = amplification.slope(problem, optimizers.L2SAM(rho=rho))
    rule, sums = trial.optimizer("sam-l2", eta, rho=rho), {"tau": lambda w: rate(w).tensor()}
    run = trial.run(problem, rule, 200, record=range(201), integrals=sums)
    tau = run.integrals["tau"][..., 0]
    when = (tau - tau[-1].min() / 2).abs().argmin(0)
    return log_predictor(run.w).argmax(-1)[when, torch.arange(len(when))]


@claim(
    "minor-first/regimes",
    source="minor_first, Section 4 (from a summary); thresholds derived",
    statement=r"Three regimes of $\alpha/\rho$: below $\alpha_1$ $\beta$ falls to zero, above "
    r"$\alpha_2 = (\mu_{d-1}+\mu_d)/(\sqrt2\|\mu\|)$ the major coordinate leads at once, and "
    r"between them coordinates lead in turn; nothing but $\alpha/\rho$ matters: "
    r"$(2\alpha, 2\rho, \mu/4, 4\eta)$ doubles every iterate.",
    hypotheses=(
        "one example, 0 < mu_1 < ... < mu_d",
        "depth 2, both layers start at the same alpha",
    ),
    kind="identity",
    roles=("sam-l2",),
    rivals=("gd", "usam", "sam-linf", "sam-l2-layerwise"),
)
def test_sam_l2_regimes_flow(trial: Trial) -> None:
    """Both thresholds between 1 - 1e-3 and 1 + 1e-3 of their value, and a run at twice the scale.

    Derived. alpha_1 comes from bisection on the equations of log beta, to 1e-6, apart from the
    optimizer. Either side is certain once c <= mu_1 (all coordinates shrink) or c >= m_2/m_1 (c
    rises forever); the clock ds = (1 + c) dtau / c reaches both. Local errors of 1e-9 grow less
    than the distance of 1e-3 from the threshold does. Scale: all factors are powers of two, so that
    the two runs differ by their rounding, 1e-16 a step.
    """
    judge_scale(trial)
    for mu in (FIGURE_4, problems.drawn_mu(trial.seed)):
        entries = torch.tensor(mu, dtype=torch.float64)
        first, second = (
            f(entries) for f in (amplification.survival_threshold, amplification.major_first)
        )
        below, above = (survival_run(trial, mu, first * (1 + side)) for side in (-1e-3, 1e-3))
        trial.at_most("alpha_1 - 1e-3: least c", below.amin(0)[0], mu[0], 0.0, "certain collapse")
        trial.at_least("alpha_1 + 1e-3: c - m_2/m_1", above[-1, 1], 0.0, 0.0, "certain survival")
        sides = [problems.one_example(mu, RHO * second * (1 + side)) for side in (-1e-3, 1e-3)]
        fastest = one_step_growth(trial, stack(sides), 1e-2, RHO).argmax(-1)
        expected = [len(mu) - 2, len(mu) - 1]
        trial.identity("fastest at alpha_2 -+ 1e-3", fastest, expected, 0.0, "integers")


def judge_scale(trial: Trial) -> None:
    """(alpha, rho, mu, eta) -> (2 alpha, 2 rho, mu / 4, 4 eta) doubles every iterate."""
    mu, alpha, steps = problems.drawn_mu(trial.seed), 0.5 * RHO, 300
    pair = [problems.one_example(mu, alpha), problems.one_example([m / 4 for m in mu], 2 * alpha)]
    scale = torch.tensor([1.0, 2.0], dtype=torch.float64).reshape(2, 1, 1)
    rule = trial.optimizer("sam-l2", 5e-3 * scale**2, rho=RHO * scale)
    if torch.as_tensor(rule.step_size.at(0)).numel() == 1:
        return  # a user's own step size is the same at both scales
    run = trial.run(stack(pair), rule, steps, record=range(steps + 1))
    because = "rounding of 300 steps"
    trial.identity("iterates at twice the scale", run.w[:, 1] / 2, run.w[:, 0], 1e-12, because)


def survival_run(trial: Trial, mu: list[float], ratio: float) -> Tensor:
    """c and c - m_2/m_1 along the flow from alpha = ratio * rho, clock ds = (1 + c) dtau / c."""
    problem = problems.one_example(mu, ratio * RHO)

    def pace(w: Tensor) -> Tensor:
        c = amplification.drive(problem, w, RHO)
        return c / (1 + c)

    speed = amplification.rescaling(amplification.slope(problem, SAM), pace)
    rule, times = trial.optimizer("sam-l2", rho=RHO), torch.linspace(0, 36 / mu[-1], 41).tolist()
    run = trial.flow(problem, rule, times, speed=speed, rtol=1e-9, atol=1e-18)
    c = amplification.drive(problem, run.w, RHO)
    return torch.cat([c, c - amplification.survival_barrier(problem, run.w)], dim=-1)


@claim(
    "minor-first/erratum-figure-4",
    source="minor_first, caption of Figure 4, read; regimes derived",
    statement=r"Under the equations as we read them, $\alpha=0.35$, $\rho=0.1$, $\mu=(1,\dots,6)$ "
    r"is regime 3, not regime 2 as the caption of Figure 4 says: the major coordinate is the "
    r"largest and grows fastest from the start. With $\rho=1$ it is regime 2: coordinates lead in "
    "turn.",
    hypotheses=(
        "one example",
        "depth 2, both layers start at alpha",
        "alpha is each layer's start",
    ),
    kind="erratum",
    erratum=Erratum(
        printed="alpha = .35, mu = (1, ..., 6), rho = .1 is in regime 2",
        corrected="it is in regime 3, where coordinate 6 leads from the start; with rho = 1 it is "
        "in regime 2",
        where="caption of Figure 4",
        basis="contradiction",
        sure="open",
        because="The caption against the flow of Section 4 as we read it. With alpha the start of "
        "the predictor, and not of the layers, it is deeper in regime 3 (c(0) = 79.8); only alpha "
        "/ rho <= .815 would be regime 2, such as alpha = .035 with rho = .1.",
        copy="It is the captions and a summary: the paper may scale alpha or rho otherwise.",
    ),
    roles=("sam-l2",),
    rivals=("gd", "usam-gentle", "sam-linf", "sam-l2-layerwise"),
    seeded=False,
)
def test_sam_l2_erratum_figure_4_flow(trial: Trial) -> None:
    """Both radii side by side; the printed one never leaves the major coordinate.

    Rests on a contradiction within the paper as it was at hand, a caption and a summary. Under the
    flow of Section 4 c(0) = sqrt(2) alpha ||mu|| / rho is 47.2 with the printed radius, and
    coordinate 6 is fastest as soon as c > mu_5 + mu_6 = 11. The figure marks the coordinate of the
    highest growth: both it (of log beta, from one recorded time to the next) and the largest are
    read, away from ties. Tolerances: indices are integers; c(0) is exact to rounding.
    """
    mu, index = torch.tensor(FIGURE_4, dtype=torch.float64), {}
    for rho in (0.1, 1.0):
        run = rescaled_flow(trial, problems.one_example(FIGURE_4, 0.35), 4.0, rho)
        logs, tau = log_predictor(run.w), torch.as_tensor(run.times).unsqueeze(-1)
        states = {"largest": (logs[1:], tau[1:], run.integrals["S"][1:])}
        states["fastest"] = (logs.diff(dim=0), tau.diff(dim=0), run.integrals["S"].diff(dim=0))
        for what, (height, time, slowness) in states.items():
            half = amplification.mean_drive(time, slowness, rho)[:, 0] / 2
            apart = tie_distance(mu, half) > 1e-5
            index[what, rho] = found = height.argmax(-1)[apart]
            expected = amplification.nearest(mu, half)[apart]
            trial.identity(f"{what} coordinate, rho = {rho}", found, expected, 0.0, "integers")
    for alpha, where in ((0.35, "alpha"), (0.35**0.5, "sqrt(alpha)")):
        problem = problems.one_example(FIGURE_4, alpha)
        c = amplification.drive(problem, problem.start, 0.1)
        title = f"rho = .1, layers from {where}: c(0)"
        trial.printed.at_least(title, c, mu[-2] + mu[-1], 0.0, "closed form")
    for what in ("largest", "fastest"):
        for side, rho, first, leaders in ((trial.printed, 0.1, 5, 1), (trial.corrected, 1.0, 1, 5)):
            found, name = index[what, rho], f"rho = {rho}, {what} coordinate"
            side.identity(f"{name}: first", found[0], first, 0.0, "an integer")
            side.identity(f"{name}: last", found[-1], 5, 0.0, "an integer")
            side.identity(f"{name}: leaders", len(found.unique()), leaders, 0.0, "an integer")
        steps = index[what, 1.0].diff()
        trial.corrected.at_least(f"rho = 1: steps of the {what}", steps, 0, 0, "an integer")


@claim(
    "minor-first/l2-limit",
    source="minor_first, Theorem 4.2 (from a summary); law at finite times derived",
    statement=r"The $\ell_2$-SAM flow at depth 2 goes to the $\ell_1$ max-margin direction, like "
    r"gradient flow: with the dual $a$ of the maximum margin, $X^Ta \le 1$, a coordinate off the "
    r"support falls behind like $\|\beta\|^{-(1 - x_j\cdot a)}$.",
    hypotheses=(
        "separable by a positive predictor, both layers start at the same alpha > 0",
        "it converges in direction, with the weights and slopes (the paper's own assumptions)",
        "the start survives: alpha / rho above alpha_1",
    ),
    kind="limit",
    roles=("sam-l2",),
    rivals=("gd", "usam", "sam-linf", "sam-l2-layerwise"),
)
def test_sam_l2_limit_flow(trial: Trial) -> None:
    """One example, to the last digits; and several, by the exact law and the rate that it implies.

    Derived. One example: what beta_k / beta_d still is at the end, its closed form says. Several:
    log beta_j = 2 (X^T A)_j - sqrt(2) rho B_j with A_n and B_j the integrals of the perturbed
    slopes and of SAM's drag; tolerance 1e-6, local errors of 1e-9 over 2000 steps. A rises along a,
    so that beta_j behaves like ||beta||^(x_j.a); the drag and the settling of the split on the
    support bend the fit by less than 0.02 over two decades of ||beta|| (calibrated). Convergence is
    slow by nature: the rate is tested, not nearness.
    """
    judge_one_example(trial)
    judge_several(trial)


def judge_one_example(trial: Trial) -> None:
    """The direction of the certified l1 max margin, e_d, up to what the closed form leaves."""
    mu = problems.drawn_mu(trial.seed, 4)
    problem = problems.one_example(mu, survival(mu) * RHO)
    target = limits.max_margin(problem.X, problem.y, norm=1)
    run = rescaled_flow(trial, problem, 8.0)
    beta = models.DiagonalProduct.predictor(run.final)
    tau, S = torch.tensor([8.0]).double(), run.integrals["S"][-1]
    logs = amplification.l2_log_predictor(tau, S, survival(mu) * RHO, example(problem), RHO)
    left = 2 * torch.exp(logs[:-1] - logs[-1]).sum()
    trial.at_most("one example: what is left", left, 0.05, 0.0, "gaps of 0.5, tau = 8")
    because = "the closed form"
    trial.close("one example: direction", beta / beta.sum(), target.solution, left, because)


def judge_several(trial: Trial) -> None:
    """The law at each time, and the rate at which coordinates off the support fall behind."""
    rho, problem = 0.3, problems.sparse_margin(trial.seed)
    best = limits.max_margin(problem.X, problem.y, norm=1)
    run = steep_flow(trial, problem, rho, math.log(500) / (2 * best.value))
    beta = models.DiagonalProduct.predictor(run.w)
    A, B = run.integrals["A"], run.integrals["B"]
    law = 2 * A @ problem.X - math.sqrt(2) * rho * B
    trial.close("several: log beta_j", beta.log(), law, 1e-6, "local errors")
    gap = 1 - measures.margin(problem, run.w) / (best.upper * beta.sum(-1))
    trial.at_least("several: gap of the margin", gap, 0.0, 1e-12, "duality", about="a formula")
    trial.at_most("several: gap at the end", gap[-1], gap[0] / 4, 0.0, "less than the norm's 100")
    off = torch.from_numpy(best.solution) < 1e-9
    share = torch.from_numpy(best.dual / best.value) @ problem.X
    held = beta[:, ~off].sum(-1)
    if held[-1] < 150 * held[0]:
        raise Inconclusive("the predictor did not grow over the two decades that a rate needs")
    late = held > held[-1] / 150
    for j in off.nonzero()[:, 0].tolist():
        fall, room = float(share[j]) - 1, 0.02
        trial.rate(
            f"several: beta_{j} over the support's sum", held[late], (beta[:, j] / held)[late],
            fall - room, fall + room, "the drag and the split, calibrated", points=2,
        )  # fmt: skip


def steep_flow(trial: Trial, problem: Problem, rho: float, end: float) -> Trajectory:
    """The flow on the clock of its summed slopes, with the integrals A_n and B_j of its law."""
    rule = optimizers.L2SAM(rho=rho)
    kept: dict[str, Tensor] = {}

    def log_slopes(w: Tensor) -> Tensor:
        if kept.get("w") is not w:
            margins = problem.margins(rule.perturbed(problem, w))
            kept.update(w=w, slopes=problem.loss.log_slope(margins))
        return kept["slopes"]

    def speed(w: Tensor) -> Scaled:
        return numerics.exp(-log_slopes(w).logsumexp(-1, keepdim=True))

    def slopes(w: Tensor) -> Scaled:
        return numerics.exp(log_slopes(w))

    def drag(w: Tensor) -> Scaled:
        v = torch.softmax(problem.loss.log_slope(problem.margins(w)), dim=-1) @ problem.X
        logs = log_slopes(w)
        top = logs.amax(-1, keepdim=True)
        return numerics.exp(top) * (torch.exp(logs - top) @ problem.X * v / (w[0] * v).norm())

    subject, times = trial.optimizer("sam-l2", rho=rho), torch.linspace(0, end, 41).tolist()
    integrals = {"A": slopes, "B": drag}
    return trial.flow(problem, subject, times, speed=speed, integrals=integrals, rtol=1e-9)
