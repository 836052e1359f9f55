"""Gradient flow on a diagonal network: the potential it minimises, and what that looks like."""

from collections.abc import Iterator

import numpy as np
import torch

from limitpoint import Inconclusive, Problem, Trial, claim, diagonal, limits, measures, problems


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
        trial.identity(f"beta(t), {name}", beta, expected, 1e-9, "flow's local error 1e-11")
        scale = measures.effective_alpha(path.w) / alpha
        trial.identity(
            f"sqrt(w_+ w_-) / alpha, {name}", scale, torch.ones_like(scale), 1e-9,
            "flow's local error 1e-11",
        )  # fmt: skip
        if torch.linalg.vector_norm(diagonal.residual(problem, path.final)) > 1e-10:
            raise Inconclusive(f"{name}: no interpolator after time {end:.0f}")
        best = limits.min_potential_interpolator(problem.X, problem.y, alpha)
        trial.close(f"limit, {name}", beta[-1], best.solution, 1e-9, "flow's local error 1e-11")
        off = limits.kkt_residual(beta[-1], problem.X, alpha)
        trial.at_most(f"KKT residual, {name}", off, 0.0, 1e-9, "flow's local error 1e-11")
