"""Full-batch n-SAM under the Polyak-Lojasiewicz condition (understanding_sam, App. C.1)."""

from collections.abc import Iterator

import torch
from torch import Tensor

from limitpoint import Objective, Trial, claim, problems, worst_case
from limitpoint.theory import descent

ROUNDING = "rounding: 1e-12 of the bound, and the square of 1e-13 where the minimum is reached"


def polyak_lojasiewicz(seed: int) -> Iterator[tuple[Objective, int, float]]:
    """Functions with a certified PL constant, their dimension, and how far the starts lie."""
    valley = problems.sine_valley()
    yield valley, 1, 8.0
    yield valley, 4, 8.0
    y = torch.linspace(-1, 1, 3, dtype=torch.float64)
    yield problems.composed(valley, problems.conditioned_rows(seed, 3, 6, 2.0), y), 6, 6.0
    yield least_squares(seed)


def least_squares(seed: int) -> tuple[Objective, int, float]:
    """Least squares with n = 4 < d = 9: PL, and strongly convex on the span of the data."""
    half_square = problems.quadratic(torch.ones(4, dtype=torch.float64))
    X = problems.conditioned_rows(seed, 4, 9, 1.5)
    return problems.composed(half_square, X, torch.ones(4, dtype=torch.float64)), 9, 3.0


def pl_gaps(
    trial: Trial, objective: Objective, gamma: Tensor, rho: Tensor, starts: Tensor
) -> Tensor:
    """L(w_t) - L_* of n-SAM at every t, shape (steps + 1, pairs, starts)."""
    total = trial.steps(200, 2000)
    rule = trial.optimizer("n-sam", gamma, rho=rho)
    run = trial.run(objective, rule, total, start=starts, record=range(total + 1))
    return objective.value(run.w) - objective.constants["minimum"]


def check_factor(trial: Trial, title: str, gaps: Tensor, factor: Tensor) -> None:
    """The gap is multiplied by at most the factor in every step, and so from w_0 to every T."""
    exponents = torch.arange(1, len(gaps), dtype=torch.float64)[:, None, None]
    axes = {"step": exponents.flatten(), "setting": None, "start": None}
    for label, bound in (("from w_0", factor**exponents * gaps[0]), ("a step", factor * gaps[:-1])):
        tolerance = 1e-12 * bound + 1e-26 * (1 + gaps[0])
        trial.at_most(
            f"gap at every T, {label}, {title}", gaps[1:], bound, tolerance, ROUNDING, along=axes
        )


@claim(
    "sam/pl-rate",
    source="understanding_sam, Theorems 6 and 10",
    statement=r"On a $\beta$-smooth function with the Polyak-Lojasiewicz constant $\mu$, n-SAM has "
    r"$L(w_T) - L_* \le (1 - 2\gamma\mu(1-\rho\beta)(1 - \frac{\gamma\beta}{2}(1-\rho\beta)))^T "
    r"(L(w_0) - L_*)$ for every $T$.",
    hypotheses=("beta-smooth", "PL with constant mu", "gamma < 1 / beta", "rho < 1 / beta"),
    kind="bound",
    roles=("n-sam",),
    rivals=("n-sam-step-tripled", "rho-doubled"),
)
def test_n_sam_pl_rate(trial: Trial) -> None:
    """The linear rate holds at every T, on convex and non-convex PL functions.

    The sum of w^2 + 3 sin^2 w in one and four dimensions, the same of X w - y with n < d, and least
    squares with n < d, from uniform starts; steps and radii up to the limits. Theorem 10's bound,
    which implies the one of Theorem 6, is tested from w_0 at every T, and its factor at every
    single step, so that no rate fitted anywhere could be worse.

    Where it could break is searched for: step, radius, start and valley (`problems.bent_valley`)
    are chosen so that the bound on -log of the gap comes closest to what happens, over ten steps.
    It comes to .98 of it for rho = .01 / beta, and to .9 for rho beta >= 1/2.

    Tolerance: rounding only. The PL constants are certified by bisection (`problems.sine_valley`).
    A downhill perturbation passes, as it must: on a concave stretch uphill leads where downhill
    leads on a convex one. sam/pl-rate-convex refutes it.
    """
    for objective, d, reach in polyak_lojasiewicz(trial.seed):
        beta, mu = objective.constants["beta"], objective.constants["pl"]
        gamma, rho = descent.pairs(beta, (0.1, 0.5, 0.999), (0.1, 0.5, 0.99))
        starts = descent.uniform_starts(trial.seed, len(gamma), 10, d, reach)
        gaps = pl_gaps(trial, objective, gamma, rho, starts)
        rate = 2 * mu * descent.smooth_gain(gamma, rho, beta).squeeze(-1)
        weaker = gamma.squeeze(-1) * (1 - rho.squeeze(-1) * beta) * mu / 2
        trial.at_least("Theorem 10's rate", rate, weaker, 0.0, "Theorem 6's, which it implies")
        check_factor(trial, f"{objective.name}, d = {d}", gaps, 1 - rate)
    for reach in (0.01, 0.5):
        valleys = [(0.02, 0.98), (0.05, 1.0)]
        found = worst_case(
            lambda x: share_of_the_decay(trial, x),
            [*valleys, (0.01, 0.999), (reach, 0.99), (0.05, 1.5)],
            trial.seed,
            rounds=60,
        )
        label = f"bound on -log of the gap, over it, worst case, rho beta >= {reach}"
        trial.at_most(label, found.ratio, 1.0, 1e-9, "rounding of a logarithm of 1e-7 at least")


def share_of_the_decay(trial: Trial, x: Tensor) -> Tensor:
    """Theorem 10's bound on log of the gap over log of the gap, the largest of ten steps.

    Candidates (N, 5): slope and bend of the valley, gamma, rho, and the start in units of where the
    PL constant is attained.
    """
    least, bend, gamma, rho, start = x.unsqueeze(-1).unbind(1)
    valley, mu = problems.bent_valley(least, bend)
    rule = trial.optimizer("n-sam", gamma, rho=rho)
    start = start * (1 + (1 - least) / bend)
    run = trial.run(valley, rule, 10, start=start, record=range(11))
    gap = valley.value(run.w)
    rate = 2 * mu * descent.smooth_gain(gamma, rho, 1.0).squeeze(-1)
    T = torch.arange(1, 11, dtype=torch.float64).unsqueeze(-1)
    decay = torch.log(gap[1:] / gap[0]).clamp(max=-1e-12)  # a gap that grows is a violation
    return (T * torch.log1p(-rate) / decay).amax(0)


@claim(
    "sam/pl-rate-convex",
    source="understanding_sam, Lemma 8 (convex case) in the proof of Theorem 10 (derived)",
    statement=r"Where the function is $\mu$-strongly convex along the run and "
    r"$\gamma\beta(2+\rho\beta) \le 2$, n-SAM multiplies $L - L_*$ in every step "
    r"by at most $1 - 2\gamma\mu(1 - \frac{\gamma\beta}{2} + \rho\mu(1 - \gamma\beta - "
    r"\frac{\gamma\rho\beta^2}{2}))$: faster than GD does.",
    hypotheses=("beta-smooth", "mu-strongly convex", "gamma * beta * (2 + rho * beta) <= 2"),
    kind="bound",
    roles=("n-sam",),
    rivals=("rho-negative", "rho-zero", "n-sam-step-tripled"),
)
def test_n_sam_pl_rate_convex(trial: Trial) -> None:
    """On least squares the perturbation speeds n-SAM up, at radii beyond 1 / beta as well.

    Least squares with n < d is strongly convex on the span of the data, which the iterates' errors
    do not leave. The rate is ours: Lemma 8's second bound, with its step-size condition corrected
    (sam/erratum-lemma-8), put where the proof of Theorem 10 has the first. At mu = beta it is the
    exact factor (1 - gamma beta (1 + rho beta))^2.

    Tolerance: rounding only.
    """
    objective, d, reach = least_squares(trial.seed)
    beta, mu = objective.constants["beta"], objective.constants["pl"]
    gamma, rho = descent.pairs(beta, (0.02, 0.1, 0.3), (0.1, 0.99, 4.0))
    starts = descent.uniform_starts(trial.seed, len(gamma), 10, d, reach)
    gaps = pl_gaps(trial, objective, gamma, rho, starts)
    gain = descent.convex_gain(gamma, rho, beta, mu)
    check_factor(trial, "least squares", gaps, 1 - 2 * mu * gain.squeeze(-1))
