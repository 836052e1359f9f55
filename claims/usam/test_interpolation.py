"""Losses with a unique finite root: which interpolator (usam_report, Sec. 3.1)."""

import math
from collections.abc import Iterator

import torch

from limitpoint import Problem, Trial, claim, limits, losses, measures, problems

FINITE_ROOT = (losses.Squared(), losses.PseudoHuber(), losses.LogCosh())


def settings(seed: int) -> Iterator[tuple[str, Problem]]:
    """Each loss, from a zero and from a random start."""
    for loss in FINITE_ROOT:
        for random_start in (False, True):
            name = f"{type(loss).__name__}, {'random' if random_start else 'zero'} start"
            yield name, problems.gaussian_regression(seed, loss=loss, random_start=random_start)


def attainable(problem: Problem) -> bool:
    """Whether there are fewer examples than inputs, and they are independent."""
    return int(torch.linalg.matrix_rank(problem.X)) == problem.n < problem.X.shape[-1]


def steps_to_rounding(problem: Problem, contraction: float) -> int:
    """Steps after which (1 - contraction * l'' / kappa)^t < 1e-17, with l'' >= .1.

    That holds near the end; the way there, where l'' is smaller, is short beside it.
    """
    singular = torch.linalg.svdvals(problem.X)
    return math.ceil(math.log(1e17) * float(singular[0] / singular[-1]) ** 2 / (0.1 * contraction))


@claim(
    "usam/gd-min-distance",
    source="usam_report, Section 3.1 (Gunasekar et al. 2018)",
    statement=r"GD on a loss with a unique finite root ends at $w_0 + X^+(y - X w_0)$, the "
    "interpolator closest to its start.",
    hypotheses=("n < d, so the targets are attainable", "eta * beta < 2, beta the smoothness"),
    kind="limit",
    roles=("gd",),
    rivals=("adam", "signgd", "sam-linf"),
)
def test_gd_min_distance(trial: Trial) -> None:
    """GD ends at the interpolator closest to its start.

    Tolerance 1e-10: the run is long enough for its linear rate to reach rounding, and rounding is
    2^-53 times the condition number of X (below 1e4 here) times |w| (below 10).
    """
    for name, problem in settings(trial.seed):
        closest = limits.min_distance_interpolator(problem.X, problem.y, problem.start)
        trial.require("n < d, so the targets are attainable", attainable(problem))
        gd = trial.optimizer("gd", 1 / measures.smoothness(problem))
        run = trial.run(problem, gd, steps_to_rounding(problem, 1.0))
        trial.close(name, run.final, closest.solution, 1e-10, "rounding * cond(X)")


@claim(
    "usam/same-limit-as-gd",
    source="usam_report, Section 3.1",
    statement="USAM ends at the same interpolator as GD, the one closest to its start, for any "
    r"radius with $\eta\beta(1+\rho\beta) < 2$.",
    hypotheses=("n < d, so the targets are attainable", "eta * beta * (1 + rho * beta) < 2"),
    kind="limit",
    roles=("usam",),
    rivals=("ascent-random", "ascent-sign"),
)
def test_usam_same_limit_as_gd(trial: Trial) -> None:
    """USAM ends where GD does, for small and for large radii, on both sides of the fastest step.

    [derived] With g' = grad L(w + rho g), |g'|^2 <= (1 + rho beta) <g, g'> (co-coercivity), so that
    L falls at every step while eta beta (1 + rho beta) < 2. Tolerance as for GD: the run is long
    enough for rounding.
    """
    for name, problem in settings(trial.seed):
        beta = measures.smoothness(problem)
        trial.require("n < d, so the targets are attainable", attainable(problem))
        closest = limits.min_distance_interpolator(problem.X, problem.y, problem.start)
        for rho_beta, share in ((0.1, 1.0), (1.0, 1.0), (4.0, 1.0), (0.1, 1.8), (4.0, 1.8)):
            step = share / (beta * (1 + rho_beta))
            usam = trial.optimizer("usam", step, rho=rho_beta / beta)
            run = trial.run(problem, usam, steps_to_rounding(problem, step * beta))
            title = f"{name}, rho * beta = {rho_beta}, eta * beta * (1 + rho * beta) = {share}"
            trial.close(title, run.final, closest.solution, 1e-10, "rounding * cond(X)")


@claim(
    "usam/exact-dynamics",
    source="usam_report, (3) with its inner bracket; derived",
    statement=r"On a quadratic, USAM's error along each eigenvector is multiplied by "
    r"$1 - \eta\lambda(1+\rho\lambda)$ a step, and stays bounded exactly while "
    r"$\eta\lambda(1+\rho\lambda) \le 2$.",
    hypotheses=("squared loss, linear model",),
    kind="identity",
    roles=("usam",),
    rivals=(
        "rho-negative",
        "rho-zero",
        "bracket-lost",
        "perturbation-kept",
        "ascent",
        "stale",
        "step-doubled",
        "accelerated",
        "rho-doubled",
        "twice-uphill",
        "averaged",
    ),
)
def test_usam_exact_dynamics(trial: Trial) -> None:
    """The error shrinks by the exact factor on one side of the stability edge, and grows beyond it.

    Our copy of (3) lacks the bracket: it reads as GD with step eta - rho, which the prose around it
    and Table 1's eta = rho exclude. Section 3.2 has the gradient at the perturbed point.

    Tolerance: each step rounds at 2^-53 of the largest entry; 40 steps and the factors' products
    stay within 1e-12. Near the edge the factor is 1 -+ 0.02 a step: 400 steps shrink the top error
    by e^8 on one side, where a rounding of 1e-15 becomes 1e-11 of it, and raise it by e^8 on the
    other.
    """
    problem = problems.gaussian_regression(trial.seed, random_start=True)
    closest = torch.as_tensor(
        limits.min_distance_interpolator(problem.X, problem.y, problem.start).solution
    )
    _, singular, axes = torch.linalg.svd(problem.X, full_matrices=False)
    eigenvalues, beta = singular**2, float(singular[0] ** 2)
    rho = 0.5 / beta
    usam = trial.optimizer("usam", 1 / (beta * (1 + rho * beta)), rho=rho)
    run = trial.run(problem, usam, 40, record=range(41))
    errors = (run.w - closest) @ axes.T
    factor = 1 - eigenvalues * (1 + rho * eigenvalues) / (beta * (1 + rho * beta))
    expected = errors[0] * factor ** torch.arange(41).unsqueeze(-1)
    trial.identity(
        "error along each eigenvector",
        errors,
        expected,
        1e-12,
        "40 steps of rounding",
        along=("step", "eigenvector"),
    )

    for side in (0.99, 1.01):
        usam = trial.optimizer("usam", 2 * side / (beta * (1 + rho * beta)), rho=rho)
        run = trial.run(problem, usam, 400, record=(0, 400))
        top = ((run.w - closest) @ axes.T)[:, 0].abs()
        growth = top[1] / top[0] / (2 * side - 1) ** 400
        trial.close(
            f"growth of the top error at {side} of the stability edge, over (2 * {side} - 1)^400",
            growth, 1.0, 1e-9, "the exact factor, 400 steps of rounding",
        )  # fmt: skip
