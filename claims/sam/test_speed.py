"""How fast SAM fits a sparse regression, and what that is worth (understanding_sam, Fig. 13)."""

from dataclasses import replace

import torch
from torch import Tensor

from limitpoint import Problem, Trial, claim, measures, problems, stack
from limitpoint.optimizers import Rule

D, SMALL = 30, 1e-7


def residual_map(trial: Trial, problem: Problem, rule: Rule, w: Tensor) -> Tensor:
    """The matrix that takes a small residual at w to that after a step, column by column.

    The targets are moved so that w misses one of them by SMALL.
    """
    fitted = problem.predict(w)
    moved = fitted - SMALL * torch.eye(problem.n, dtype=torch.float64)
    batch = stack([replace(problem, y=y, start=w) for y in moved])
    after = trial.run(batch, rule, 1, record=[1]).final
    return ((batch.predict(after) - batch.y) / SMALL).mT


@claim(
    "sam/linear-rate",
    source="understanding_sam, Figure 13 (right) and Theorem 1; residual maps derived",
    statement=r"With $\alpha = .01$, $\gamma = \rho = \frac1d$ ERM, n-SAM and 1-SAM converge at a "
    r"linear rate: with $K = \frac2n X\mathrm{diag}(w_+^2 + w_-^2)X^\top$ a step takes a small "
    r"residual $r$ to $(I - \gamma K)r$, $(I - \gamma K(I + \rho K))r$ and $(I - \gamma K "
    r"\mathrm{diag}(1 + 2\rho\langle w_+^2 + w_-^2, x_i^2\rangle))r$; and the slower of them, "
    r"1-SAM before n-SAM before ERM, has the larger loss integral and the smaller $\alpha$.",
    hypotheses=("x_i standard normal", "noiseless sparse targets"),
    kind="identity",
    roles=("1-sam", "n-sam", "gd"),
    rivals=(
        "n-sam",
        "gd",
        "1-sam-rho-negative",
        "batches-swapped",
        "rho-doubled",
        "n-sam:gd",
        "n-sam:1-sam",
        "gd:step-doubled",
        "gd:n-sam",
    ),
)
def test_one_sam_n_sam_gd_linear_rate(trial: Trial) -> None:
    """Residual maps where each run ends, their eigenvalues in (-1, 1), and the order of slowness.

    Tolerance of the maps: of second order in a residual of 1e-7, with factors below 1e3. The orders
    are measured, strict, and were the same on seeds 0-99.
    """
    problem, gamma, rho = problems.sparse_regression(trial.seed, alpha=0.01), 1 / D, 1 / D
    steps = trial.steps(10_000, 100_000)
    one, integral, alpha = torch.eye(problem.n, dtype=torch.float64), {}, {}
    for role, radius in (("gd", {}), ("n-sam", {"rho": rho}), ("1-sam", {"rho": rho})):
        rule = trial.optimizer(role, gamma, **radius)
        run = trial.run(problem, rule, steps, record=range(0, steps + 1, 10))
        integral[role] = 10 * gamma * problem.value(run.w).sum()
        alpha[role] = measures.effective_alpha(run.final).mean()
        size = (run.final**2).sum(0)
        K = 2 / problem.n * (problem.X * size) @ problem.X.mT
        ascent = {
            "gd": one,
            "n-sam": one + rho * K,
            "1-sam": torch.diag(1 + 2 * rho * problem.X**2 @ size),
        }
        expected = one - gamma * K @ ascent[role]
        found = residual_map(trial, problem, rule, run.final)
        trial.close(f"{role}: residual map", found, expected, 1e-4, "second order in 1e-7")
        top = torch.linalg.eigvals(expected).abs().max()
        trial.ordering(f"{role}: its largest eigenvalue, then one", top, 1.0, "a linear rate")
    for less, more in (("gd", "n-sam"), ("n-sam", "1-sam")):
        because = "Theorem 1, measured"
        trial.ordering(f"int L: {less} < {more}", integral[less], integral[more], because)
        trial.ordering(f"mean alpha: {more} < {less}", alpha[more], alpha[less], because)
