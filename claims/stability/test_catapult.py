"""Two layers, one number: what a step above 2 / sharpness does, exactly."""

import torch

from limitpoint import Problem, Trial, claim, losses, models

HIDDEN, STEPS = 40, 60


@claim(
    "stability/catapult",
    source="Lewkowycz et al. 2020 (arXiv:2003.02218), (6)-(7); derived",
    statement=r"For $f = u \cdot v / \sqrt{n}$, $L = f^2/2$, $\lambda = (|u|^2 + |v|^2)/n$ a step "
    r"of GD gives $f' = f(1 - \eta\lambda + \eta^2 f^2/n)$ and $\lambda' = \lambda + "
    r"(\eta f^2/n)(\eta\lambda - 4)$: for $2 < \eta\lambda < 4$ the loss leaps first, and "
    r"$\lambda$ falls below $2/\eta$.",
    hypotheses=("two linear layers, one example with target zero",),
    kind="identity",
    roles=("gd",),
    rivals=(
        "momentum", "usam", "sam-l2", "ngd", "signgd", "adam", "ascent", "stale", "step-doubled",
        "accelerated",
    ),
)  # fmt: skip
def test_gd_catapult(trial: Trial) -> None:
    """Both recursions at every step, from eta lambda of 1, 2.5 and 3.5, and where lambda ends.

    Tolerance: f is a sum of 40 products, and each step rounds it by less than 1e-14 of |u| |v| /
    sqrt(n), which is at most sqrt(n) lambda / 2.
    """
    noise = torch.Generator().manual_seed(trial.seed)
    start = torch.randn(2, HIDDEN, generator=noise, dtype=torch.float64)
    x = torch.full((1, HIDDEN), HIDDEN**-0.5, dtype=torch.float64)
    y = torch.zeros(1, dtype=torch.float64)
    problem = Problem("catapult", models.DiagonalProduct(), losses.Squared(), x, y, start)
    for level in (1.0, 2.5, 3.5):
        gd = trial.optimizer("gd", level / float((start**2).sum() / HIDDEN))
        eta = float(gd.step_size.at(0))
        run = trial.run(problem, gd, STEPS, record=range(STEPS + 1))
        f, sharpness = problem.predict(run.w)[..., 0], (run.w**2).sum((-2, -1)) / HIDDEN
        here, lam = f[:-1], sharpness[:-1]
        step = here * (1 - eta * lam + eta**2 * here**2 / HIDDEN)
        falls = lam + eta * here**2 / HIDDEN * (eta * lam - 4)
        name = f"eta lambda = {level}"
        size = 1e-14 * HIDDEN**0.5 * float(lam.max())
        trial.close(f"{name}: f", f[1:], step, size, "40 products", along=("step",))
        trial.identity(f"{name}: lambda", sharpness[1:], falls, 1e-13, "rounding", along=("step",))
        if 2 < eta * float(sharpness[0]) < 4:
            trial.ordering(f"{name}: lambda in the end", sharpness[-1], 2 / eta, "catapult")
