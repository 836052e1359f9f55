"""Gradient flow on a diagonal network: the potential it minimises, and what that looks like."""

from collections.abc import Iterator

import numpy as np
import torch

from limitpoint import Inconclusive, Problem, Trial, claim, limits, measures, problems
from limitpoint.theory import diagonal


def starts(seed: int) -> Iterator[tuple[str, Problem]]:
    """Small, large and unequal scales of the start."""
    yield "alpha = 0.1", problems.sparse_regression(seed, 5, 30, alpha=0.1)
    yield "alpha = 1", problems.sparse_regression(seed, 5, 30, alpha=1.0)
    unequal = np.linspace(0.15, 0.45, 30)
    yield "alpha from 0.15 to 0.45", problems.sparse_regression(seed, 5, 30, alpha=unequal)


@claim(
    "sam/gradient-flow-potential",
    source="understanding_sam, Theorem 3 (Woodworth et al. 2020, Theorem 1)",
    statement=r"Gradient flow on a diagonal network from $w_+ = w_- = \alpha$ has "
    r"$\beta(t) = 2\alpha^2 \sinh(X^T\nu(t))$ at every time, and ends at the interpolator that "
    r"minimises $\phi_\alpha$.",
    hypotheses=("the flow ends at an interpolator", "alpha > 0 in every coordinate"),
    kind="identity",
    roles=("gd",),
    rivals=("linear-model", "usam", "1-sam", "bracket-lost"),
)
def test_gd_flow_minimises_the_potential(trial: Trial) -> None:
    """The flow of GD is in closed form at every time, and ends at the certified minimiser.

    Tolerance 1e-9: the flow is integrated with a local error of 1e-11, which leaves 1e-11 after the
    some hundred steps it takes. The limit is within e^-30 of its end (`relaxation_time` bounds the
    rate), so it carries that error and no other.
    """
    for name, problem in starts(trial.seed):
        alpha, end = problem.start[0], 30 * diagonal.relaxation_time(problem)
        pull = {"pull": lambda w, p=problem: diagonal.gd_field(p, w).pull}
        times = np.concatenate([[0], np.geomspace(1e-4 * end, end, 60)])
        path = trial.flow(problem, trial.optimizer("gd"), times, integrals=pull)
        beta = problem.model.predictor(path.w)
        expected = diagonal.flow_predictor(alpha, path.integrals["pull"])
        axes = {"time": path.times, "coordinate": None}
        trial.identity(
            f"beta(t), {name}", beta, expected, 1e-9, "flow's local error 1e-11", along=axes
        )
        scale = measures.effective_alpha(path.w) / alpha
        trial.identity(
            f"sqrt(w_+ w_-) / alpha, {name}", scale, torch.ones_like(scale), 1e-9,
            "flow's local error 1e-11", along=axes,
        )  # fmt: skip
        if torch.linalg.vector_norm(diagonal.residual(problem, path.final)) > 1e-10:
            raise Inconclusive(f"{name}: no interpolator after time {end:.0f}")
        best = limits.min_potential_interpolator(problem.X, problem.y, alpha)
        trial.close(f"limit, {name}", beta[-1], best.solution, 1e-9, "flow's local error 1e-11")
        off = limits.kkt_residual(beta[-1], problem.X, alpha)
        trial.at_most(f"KKT residual, {name}", off, 0.0, 1e-9, "flow's local error 1e-11")


@claim(
    "sam/potential-interpolates",
    source="understanding_sam, Fig. 5 and App. B (Woodworth et al. 2020, Theorem 2)",
    statement=r"The minimiser of $\phi_\alpha$ has an $\ell_1$ norm within $1+\epsilon$ of the "
    r"least for $\alpha \le \min\{(2(1+\epsilon)\|\beta_1\|_1)^{-(2+\epsilon)/2\epsilon}, "
    r"e^{-d/\epsilon\|\beta_1\|_1}\}$, and a squared $\ell_2$ norm within $1+\epsilon$ of the "
    r"least for $\alpha \ge \sqrt{2(1+\epsilon)(1+2/\epsilon)\|\beta_2\|_2}$.",
    hypotheses=("n < d", "the interpolators of least l1 and l2 norm differ"),
    kind="bound",
)
def test_potential_interpolates_between_l1_and_l2(trial: Trial) -> None:
    r"""Both bounds with their constants, at the edge of their ranges of alpha; and phi itself.

    For phi: log u <= arcsinh(u/2) <= log u + what integrates to 2, and x - x^3/6 <= arcsinh x <= x,
    integrated [derived]: with entropy h = sum |b| (log |b| - 1),
    0 <= phi_alpha - |b|_1 log alpha^-2 - h <= 2 d alpha^2, and
    |b|^2 / 4 alpha^2 - sum b^4 / 192 alpha^6 <= phi_alpha <= |b|^2 / 4 alpha^2. Tolerances are
    rounding. Controls: each bound fails, for eps = .1, at the other end of the range.
    """
    n, d = 3, 20
    problem = problems.sparse_regression(trial.seed, n, d)
    X, y = problem.X.numpy(), 10 * problem.y.numpy()
    sparse, short = limits.min_l1_interpolator(X, y), limits.min_distance_interpolator(X, y)
    least_1, least_2 = sparse.value, float(np.linalg.norm(short.solution))
    trial.require(
        "the interpolators of least l1 and l2 norm differ",
        bool(np.abs(short.solution).sum() > 1.2 * least_1),
    )
    for eps in (0.5, 1.0, 2.0):
        low = min((2 * (1 + eps) * least_1) ** (-0.5 - 1 / eps), np.exp(-d / (eps * least_1)))
        high = np.sqrt(2 * (1 + eps) * (1 + 2 / eps) * least_2)
        small, large = (limits.min_potential_interpolator(X, y, a).solution for a in (low, high))
        title, because = f"alpha = {low:.2g}, eps = {eps}", "rounding of certified minimisers"
        bound = (1 + eps) * least_1
        trial.at_most(f"l1 norm at {title}", np.abs(small).sum(), bound, 1e-9 * bound, because)
        title = f"alpha = {high:.2g}, eps = {eps}"
        bound = (1 + eps) * least_2**2
        trial.at_most(f"l2 norm squared at {title}", large @ large, bound, 1e-9 * bound, because)
    because = "a control: the ranges of alpha are not idle"
    trial.at_least("l1 norm at large alpha", np.abs(large).sum(), 1.1 * least_1, 0.0, because)
    trial.at_least("l2 norm squared at small", small @ small, 1.1 * least_2**2, 0.0, because)

    for beta in (small, large):
        size, alpha = np.abs(beta[beta != 0]), 1e-3
        excess = limits.hyperbolic_entropy(beta, alpha) - size @ (np.log(size / alpha**2) - 1)
        slack, bound = 1e-12 * size.sum(), 2 * d * alpha**2
        trial.at_least("phi at small alpha", excess, 0.0, slack, "rounding")
        trial.at_most("phi at small alpha", excess, bound, slack, "rounding")
        phi, square = limits.hyperbolic_entropy(beta, 2.0), beta @ beta / 16
        trial.at_most("phi at alpha = 2", phi, square, 1e-12 * square, "rounding")
        bound = square - (beta**4).sum() / (192 * 2**6)
        trial.at_least("phi at alpha = 2", phi, bound, 1e-12 * square, "rounding")
