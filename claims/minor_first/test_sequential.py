"""l2-SAM on a diagonal network and one example: minor first, major last (minor_first, Section 4).

The paper's text was not at hand: its theorems are known from notes [second], the closed forms that
the claims test are derived (FACTS 2.3, `limitpoint.amplification`).
"""

import torch
from torch import Tensor

from limitpoint import (
    Problem,
    Trajectory,
    Trial,
    amplification,
    claim,
    models,
    optimizers,
    problems,
    stack,
)

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


def rescaled_flow(trial: Trial, problem: Problem, end: float) -> Trajectory:
    """The flow on its rescaled clock tau, with S, the integral of dtau / n(beta)."""
    rate = amplification.slope(problem, SAM)
    return trial.flow(
        problem,
        trial.optimizer("sam-l2", rho=RHO),
        torch.linspace(0, end, 101).tolist(),
        speed=amplification.rescaling(rate),
        integrals={"S": lambda w: rate(w) * (1 / amplification.weighted_norm(problem, w))},
    )


@claim(
    "minor-first/sequential-in-time",
    source="minor_first, Theorems 4.3 and 4.4 [second]; FACTS 2.3 (derived)",
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
    the same equation, with local errors of 1e-11, and the clock's rounding 2^-52 u_hat stays below
    1e-7 with the u_hat < 1e8 of this run. Times within 1e-5 of a tie of c_bar / 2 are left out: the
    lead there is 2 (mu_j - mu_k) tau (1 - (mu_j + mu_k) / c_bar), less than that error.
    """
    drawn = problems.drawn_mu(trial.seed)
    for name, mu, end in (("Figure 3", FIGURE_3, 1.6), ("drawn", drawn, 12 / drawn[-1])):
        ratio = 1.01 * amplification.survival_certain(torch.tensor(mu))
        problem = problems.one_example(mu, ratio * RHO)
        run = rescaled_flow(trial, problem, end)
        tau, S = torch.as_tensor(run.times).unsqueeze(-1), run.integrals["S"]
        closed = amplification.l2_log_predictor(tau, S, ratio * RHO, example(problem), RHO)
        measured = log_predictor(run.w)
        trial.close(f"{name}: log beta_j", measured, closed, 1e-6, "local errors, the clock's")
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
    source="minor_first, Theorems 4.3 and 4.4 [second]; FACTS 2.3 (derived)",
    statement=r"With small steps $\ell_2$-SAM follows the flow's closed form and order, with "
    r"$\tau = \sum\eta\sigma$ and $S = \sum\eta\sigma/n$.",
    hypotheses=(
        "one example, 0 < mu_1 < ... < mu_d",
        "depth 2, both layers start at the same alpha",
        "alpha / rho >= sum mu^4 / (sqrt(2) ||mu|| sum mu^3), for the order",
    ),
    kind="bound",
    roles=("sam-l2",),
    rivals=("gd", "usam", "usam-gentle", "sam-linf", "sam-l2-layerwise"),
)
def test_sam_l2_sequential_in_time(trial: Trial) -> None:
    """The algorithm itself on Figure 3's example from three starts, and on a drawn one.

    A step multiplies w_j by 1 + x, x = eta sigma mu_j (1 - mu_j / c), |x| < .02, and
    x - x^2 / 2 (1 - |x|) <= log(1 + x) <= x: log beta_j lies within 1.03 sum x^2 below its closed
    form, to rounding. The dominant coordinate is read where the closed form leads by more than
    that, which is at nine recorded times of ten. The radius is small, so that sigma stays near 1/2
    until the major coordinate leads: only alpha / rho matters to the order.
    """
    rho, steps = 1e-3, trial.steps(2000, 40_000)
    eta = 4.0 / steps
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
    rule = trial.optimizer("sam-l2", eta, rho=rho)
    run = trial.run(problem, rule, steps, record=range(0, steps + 1, steps // 200), integrals=sums)
    tau, S, mu = run.integrals["tau"], run.integrals["S"], example(problem)
    alpha = problem.start[:, 0, :1]
    closed = amplification.l2_log_predictor(tau, S, alpha, mu, rho)
    late = 1.03 * eta * run.integrals["squares"]
    measured = log_predictor(run.w)
    because = "x - x^2 / 2 (1 - |x|) <= log(1 + x) <= x, rounding of the steps"
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
