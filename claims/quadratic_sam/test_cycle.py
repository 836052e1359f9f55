"""SAM on a quadratic does not come to rest: it bounces across, along the steepest axis."""

import torch

from limitpoint import Trial, claim, problems

SPECTRUM, RHO, STEPS = [2.0, 1.0, 0.5, 0.2], 0.1, 2000


@claim(
    "quadratic-sam/two-cycle",
    source="Bartlett, Long and Bousquet 2022 (arXiv:2210.01513), Theorem 1, the constant derived; "
    "Long and Bartlett 2023 (arXiv:2309.12488), (1)",
    statement=r"SAM on a quadratic ends in a cycle of period two along the top eigenvector, at "
    r"$|w_1| = \eta\rho\lambda_1/(2-\eta\lambda_1)$; there $\lambda_1$ is on SAM's edge, "
    r"$\frac{|g|}{2\rho}(\sqrt{1+8\rho/(\eta|g|)}-1)$.",
    hypotheses=("a simple top eigenvalue", "eta lambda_1 < 2", "a start with w_1 not zero"),
    kind="limit",
    roles=("sam-l2",),
    rivals=(
        "usam", "sam-linf", "asam", "rho-zero", "rho-doubled", "twice-uphill", "averaged",
        "perturbation-kept", "ascent-unit-random", "ascent", "stale", "step-doubled", "accelerated",
    ),
)  # fmt: skip
def test_sam_two_cycle(trial: Trial) -> None:
    """The cycle and the edge, for eta lambda_1 of .4, 1 and 1.8.

    [derived] On +-c along the axis the perturbed point is c + rho: 2c = eta lambda_1 (c + rho).
    Near the cycle an eigenvector of r = lambda / lambda_1 < 1 is multiplied by 1 - eta lambda - r^2
    (2 - eta lambda_1), within (-1, 1); at r = .1 that is .944 at most, e^-115 after 2000 steps, and
    the top one by eta lambda_1 - 1. Tolerance: packages keep the gradient's norm in float32 or add
    1e-12 to it, which is 2^-24 of rho and up to 10 times that of |w_1|; ours would meet 1e-12.
    """
    noise = torch.Generator().manual_seed(trial.seed)
    start = torch.randn(4, generator=noise, dtype=torch.float64)
    problem, top = problems.axis_regression(SPECTRUM), SPECTRUM[0]
    for level in (0.4, 1.0, 1.8):
        rule = trial.optimizer("sam-l2", level / top, free=("rho",), rho=RHO)
        eta, rho = float(rule.step_size.at(0)), float(rule.settings.get("rho", RHO))
        trial.require("eta lambda_1 < 2", eta * top < 2)
        run = trial.run(problem, rule, STEPS, start=start, record=(STEPS - 1, STEPS))
        size, name = eta * rho * top / (2 - eta * top), f"eta lambda_1 = {level}"
        because = "the cycle attracts; 2^-24 of rho"
        axis = torch.tensor([size, 0.0, 0.0, 0.0], dtype=torch.float64)
        ends = run.w[:, :1].sign() * axis
        trial.close(f"{name}: both ends", run.w, ends, 1e-6 * size, because)
        trial.close(f"{name}: they alternate", run.w[1], -run.w[0], 1e-6 * size, because)
        g = problem.grad(run.final).norm()
        edge = g / (2 * rho) * (torch.sqrt(1 + 8 * rho / (eta * g)) - 1)
        trial.identity(f"{name}: SAM's edge", edge, top, 1e-6, because)
