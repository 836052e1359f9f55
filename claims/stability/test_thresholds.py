"""The largest step on a quadratic, exactly: where the top error turns from shrinking to growing.

Along an eigenvector of eigenvalue lambda the error obeys e_{t+1} = p e_t + q e_{t-1}. It shrinks
exactly while both roots of z^2 = p z + q are inside the unit circle; at the edge one root is -1.

    GD           p = 1 - eta lambda,             q = 0                        edge 2
    heavy ball   p = 1 + mu - eta lambda,        q = -mu                      edge 2 + 2 mu
    Nesterov     p = (1 + mu)(1 - eta lambda),   q = -mu (1 - eta lambda)     edge (2+2mu)/(1+2mu)

The first step is e_1 = (p - mu) e_0, as the buffer is empty. Thresholds: Cohen et al. 2021
(arXiv:2103.00065), Section 2; the recursions are derived from the steps (`claims/momentum`).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from limitpoint import Trial, claim, problems

#: The eigenvalues; the first is the top one, and its error decides.
SPECTRUM = torch.tensor([2.0, 1.0, 0.3, 0.05], dtype=torch.float64)
STEPS = 300
WHY = "300 steps of rounding, which grow at most as the error does"
SLIPS = ("ascent", "stale", "step-doubled", "accelerated")


def errors_obey(
    trial: Trial,
    role: str,
    edge: float,
    recursion: Callable[[Tensor], tuple[Tensor, Tensor]],
    mu: float = 0.0,
    **settings: float,
) -> None:
    """Both sides of the edge: every error against the recursion, and whether the largest grows."""
    problem = problems.axis_regression(SPECTRUM.tolist())
    noise = torch.Generator().manual_seed(trial.seed)
    start = 0.5 + torch.rand(4, generator=noise, dtype=torch.float64)
    for name, side in (("below", 0.995), ("above", 1.005)):
        rule = trial.optimizer(role, side * edge / 2, **settings)
        eta = float(rule.step_size.at(0))
        trial.require("the step size is the claim's to set", abs(eta - side * edge / 2) < 1e-12)
        run = trial.run(problem, rule, STEPS, start=start, record=range(STEPS + 1))
        p, q = recursion(eta * SPECTRUM)
        errors = [start, (p - mu) * start]
        for _ in range(STEPS - 1):
            errors.append(p * errors[-1] + q * errors[-2])
        expected = torch.stack(errors)
        scale = expected.abs().cummax(0).values
        places = ("step", "eigenvector")
        trial.close(name, run.w / scale, expected / scale, 1e-10, WHY, along=places)
        early, late = run.w[1:, 0].abs().reshape(2, -1).amax(-1)
        pair = (late, early) if name == "below" else (early, late)
        trial.ordering(f"{name} the edge: the top error, in halves", *pair, "the root at -1")


@claim(
    "stability/gd-edge",
    source="Cohen et al. 2021 (arXiv:2103.00065), Section 2; derived",
    statement=r"On a quadratic GD converges exactly while $\eta\lambda_1 < 2$, and each error is "
    r"multiplied by $1 - \eta\lambda$ a step.",
    hypotheses=("a quadratic",),
    kind="identity",
    roles=("gd",),
    rivals=("momentum", "usam", "signgd", "adam", *SLIPS),
)
def test_gd_edge(trial: Trial) -> None:
    """Half a percent below 2 / lambda it converges, half a percent above it does not."""
    errors_obey(trial, "gd", 2.0, lambda x: (1 - x, 0 * x))


@claim(
    "stability/heavy-ball-edge",
    source="Cohen et al. 2021 (arXiv:2103.00065), Section 2; derived",
    statement=r"On a quadratic heavy ball converges exactly while $\eta\lambda_1 < 2 + 2\mu$: at "
    r"$\mu = .9$ its largest step is 1.9 times GD's.",
    hypotheses=("a quadratic",),
    kind="identity",
    roles=("momentum",),
    rivals=("gd", "nesterov", "momentum-damped", "momentum-late", "momentum-dropped", *SLIPS),
)
def test_momentum_edge(trial: Trial) -> None:
    """Both sides of 2 + 2 mu; damped momentum, which divides g by ten, is stable up to 38."""
    own = trial.optimizer("momentum", 1.0, free=("momentum",), momentum=0.9).settings
    mu = own.get("momentum", 0.9)
    errors_obey(trial, "momentum", 2 + 2 * mu, lambda x: (1 + mu - x, -mu + 0 * x), mu, momentum=mu)


@claim(
    "stability/nesterov-edge",
    source="Cohen et al. 2021 (arXiv:2103.00065), Section 2; derived",
    statement=r"On a quadratic Nesterov's momentum converges exactly while $\eta\lambda_1 < "
    r"(2+2\mu)/(1+2\mu)$: its largest step is below GD's.",
    hypotheses=("a quadratic",),
    kind="identity",
    roles=("nesterov",),
    rivals=("gd", "momentum", "nesterov-plain-gradient", "nesterov-old-buffer", *SLIPS),
)
def test_nesterov_edge(trial: Trial) -> None:
    """Both sides of (2 + 2 mu) / (1 + 2 mu), which at mu = .9 is 1.357."""
    own = trial.optimizer("nesterov", 1.0, free=("momentum",), momentum=0.9).settings
    mu = own.get("momentum", 0.9)
    edge = (2 + 2 * mu) / (1 + 2 * mu)
    errors_obey(
        trial, "nesterov", edge, lambda x: ((1 + mu) * (1 - x), -mu * (1 - x)), mu, momentum=mu
    )
