"""Where SAM goes once it has arrived: along the minima, to the flattest.

L = (uv - 1)^2 / 2 has the minima uv = 1, of sharpness lambda = u^2 + v^2, the least at u = v = 1.
"""

import math

import numpy as np
import scipy
import torch

from limitpoint import Problem, Trial, claim, losses, models

RADII, ARRIVED, TIME = (0.08, 0.04), 1000, 0.3


def fall(eta: float, rho: float, steps: int, first: float) -> float:
    """How far the equation lets log q fall from q = first."""

    def drift(_: float, q: np.ndarray) -> np.ndarray:
        return -2 * eta * rho**2 * q / (1 - eta * np.sqrt(4 + q**2) / 2) ** 2

    flow = scipy.integrate.solve_ivp(drift, (0, steps), [first], rtol=1e-10, atol=1e-12)
    return math.log(first / flow.y[0, -1])


@claim(
    "flat-minima/sam-drift",
    source="Wen, Ma and Li 2023 (arXiv:2211.05729), Theorem 4.5 (the flow as the step vanishes); "
    "its solution here, and the factor of a step that does not vanish, are derived",
    statement=r"On $(uv-1)^2/2$ SAM moves along the minima so that $q = u^2 - v^2$ obeys $\dot q = "
    r"-2q\,(1-\eta\lambda/2)^{-2}$ in the time $\eta\rho^2 t$, $\lambda = \sqrt{4+q^2}$: as $\eta "
    r"\to 0$, $q = q_0 e^{-2\eta\rho^2 t}$.",
    hypotheses=("small rho", "eta lambda < 2", "the run has come to the minima"),
    kind="limit",
    roles=("sam-l2",),
    rivals=(
        "gd", "usam", "sam-linf", "asam", "rho-doubled", "twice-uphill", "averaged",
        "perturbation-kept", "ascent-unit-random", "ascent", "stale", "step-doubled", "accelerated",
    ),
)  # fmt: skip
def test_sam_drift(trial: Trial) -> None:
    """How far q falls after 1000 steps, against the equation, for two radii and eta of .1 and .2.

    [derived] Across the minima SAM is in its two-cycle, +-eta rho lambda / (2 - eta lambda), and
    takes its gradient at x = rho / (1 - eta lambda / 2) from them. There it has the part x^2 grad
    lambda / 2 along them, and that moves q by -2 q eta x^2 a step. The remainder in log q is
    of second order in rho: half the radius leaves a quarter of it, and a third is allowed. What
    misses the equation by a factor keeps all of it, as the flow of a vanishing step would.
    """
    noise = torch.Generator().manual_seed(trial.seed)
    u = 1.6 + 0.6 * float(torch.rand((), generator=noise))
    start = torch.tensor([[u], [1.01 / u]], dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    problem = Problem(
        "hyperbola", models.DiagonalProduct(), losses.Squared(), one.reshape(1, 1), one, start
    )
    for step in (0.1, 0.2):
        missed = []
        for radius in RADII:
            rule = trial.optimizer("sam-l2", step, rho=radius)
            eta = float(rule.step_size.at(0))
            steps = ARRIVED + round(TIME / (eta * radius**2))
            run = trial.run(problem, rule, steps, record=(ARRIVED, steps))
            first, last = (run.w[:, 0, 0] ** 2 - run.w[:, 1, 0] ** 2).abs().tolist()
            missed.append(abs(math.log(first / last) - fall(eta, radius, steps - ARRIVED, first)))
            name = f"eta = {step}, rho = {radius}: still at the minima"
            trial.close(name, run.w.prod(-2), 1.0, 3 * radius, "O(rho)")
        because = "of second order in rho: a quarter"
        trial.at_most(f"eta = {step}: remainder", missed[1], missed[0] / 3, 0.0, because)
