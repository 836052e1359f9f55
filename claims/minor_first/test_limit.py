"""Where l2-SAM on a diagonal network ends (minor_first, Theorem 4.2).

The paper's text was not at hand: the theorem is known from a summary, the law is derived.
"""

import math

import torch
from torch import Tensor

from limitpoint import (
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
)
from limitpoint.theory import amplification, rescaled

RHO = 1.0
SAM = optimizers.L2SAM(rho=RHO)


def survival(mu: list[float]) -> float:
    """The alpha/rho above which nothing collapses."""
    return amplification.survival_certain(torch.tensor(mu))


@claim(
    "minor-first/l2-limit",
    source="minor_first, Theorem 4.2 (from a summary); law at finite times derived",
    statement=r"The $\ell_2$-SAM flow at depth 2 goes to the $\ell_1$ max-margin direction, like "
    r"gradient flow: with the dual $a$ of the maximum margin, $X^Ta \le 1$, a coordinate off the "
    r"support falls behind like $\|\beta\|^{-(1 - x_j\cdot a)}$, up to what SAM's drag and the "
    "split on the support still change.",
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
    slopes and of SAM's drag; tolerance 1e-6, local errors of 1e-9 over 2000 steps. On the active
    examples the column of j is a combination of the support's, sum_s c_s x_s with sum c_s = x_j.a,
    so that log beta_j is sum_s c_s log beta_s up to the drag (`falls_behind`). Convergence is slow
    by nature: the rate is tested, not nearness.
    """
    judge_one_example(trial)
    judge_several(trial)


def judge_one_example(trial: Trial) -> None:
    """The direction of the certified l1 max margin, e_d, up to what the closed form leaves."""
    mu = problems.drawn_mu(trial.seed, 4)
    problem = problems.one_example(mu, survival(mu) * RHO)
    target = limits.max_margin(problem.X, problem.y, norm=1)
    run = rescaled.flow(trial, problem, 8.0)
    beta = models.DiagonalProduct.predictor(run.final)
    tau, S = torch.tensor([8.0]).double(), run.integrals["S"][-1]
    logs = amplification.l2_log_predictor(
        tau, S, survival(mu) * RHO, rescaled.example(problem), RHO
    )
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
    axes = {"time": run.times, "coordinate": None}
    trial.close("several: log beta_j", beta.log(), law, 1e-6, "local errors", along=axes)
    gap = 1 - measures.margin(problem, run.w) / (best.upper * beta.sum(-1))
    trial.at_least(
        "several: gap of the margin",
        gap,
        0.0,
        1e-12,
        "duality",
        about="a formula",
        along={"time": run.times},
    )
    trial.at_most("several: gap at the end", gap[-1], gap[0] / 4, 0.0, "less than the norm's 100")
    falls_behind(trial, problem, best, beta, A, math.sqrt(2) * rho * B)


def falls_behind(
    trial: Trial, problem: Problem, best: limits.MaxMargin, beta: Tensor, A: Tensor, drag: Tensor
) -> None:
    """Exponents of beta_j over the support's sum, in that sum, over its last decade.

    log beta_j - sum_s c_s log beta_s is minus the same of the drag, plus what the idle examples
    pull: the exponent is sum_s c_s - 1 up to the change of these and of the split, over log 10.
    """
    support = torch.from_numpy(best.solution) > 1e-9
    active = torch.from_numpy(best.dual) > 1e-9
    rows, columns = problem.X[active], problem.X[active][:, support]
    c = torch.linalg.lstsq(columns, rows[:, ~support]).solution  # (support, off)
    held = beta[:, support].sum(-1)
    if held[-1] < 100 * held[0]:
        raise Inconclusive("horizon: the start has not survived, or not grown a hundredfold yet")
    first = int((held < held[-1] / 10).sum()) - 1

    def change(x: Tensor) -> Tensor:
        return (x[-1] - x[first]).abs()

    idle = 2 * A[:, ~active] @ problem.X[~active]
    bend = drag[:, ~support] - drag[:, support] @ c, idle[:, ~support] - idle[:, support] @ c
    split = change((beta[:, support] / held.unsqueeze(-1)).log()) @ c.abs()
    decade = (held[-1] / held[first]).log()
    room = (change(bend[0]) + change(bend[1]) + split + 1e-6) / decade
    behind = (beta[:, ~support] / held.unsqueeze(-1)).log()
    exponent, because = (behind[-1] - behind[first]) / decade, "the drag and the split, measured"
    expected = c.sum(0) - 1
    trial.close("several: exponents off the support", exponent, expected, room, because)
    trial.ordering("several: that room, then a quarter of them", room, -expected / 4, "it is small")


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
