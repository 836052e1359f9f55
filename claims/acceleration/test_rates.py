"""How fast at worst: bounds with their constants, and the function on which one is attained."""

import math

import torch

from limitpoint import Objective, Trial, claim, problems


def kink(radius: float, width: float) -> Objective:
    """Huber's function |w|^2 / 2 up to the width, then width |w| - width^2 / 2; smoothness one."""

    def value(w: torch.Tensor) -> torch.Tensor:
        size = w.norm(dim=-1)
        return torch.where(size <= width, size**2 / 2, width * size - width**2 / 2)

    def gradient(w: torch.Tensor) -> torch.Tensor:
        return w * (width / w.norm(dim=-1, keepdim=True).clamp_min(width))

    return Objective("huber", value, gradient, {"beta": 1.0, "minimum": 0.0})


@claim(
    "acceleration/gd-worst-case",
    source="Drori and Teboulle 2014 (arXiv:1206.3209), Theorems 3.1 and 3.2",
    statement=r"With $\eta = 1/\beta$ GD has $f(w_T) - f^* \le \beta|w_0-w^*|^2/(4T+2)$ on every "
    r"convex $\beta$-smooth function, and attains it on Huber's of width $|w_0|/(2T+1)$.",
    hypotheses=("convex, beta-smooth", "eta = 1 / beta"),
    kind="bound",
    roles=("gd",),
    rivals=(
        "momentum", "signgd", "ngd", "adam", "ascent", "stale", "step-doubled",
        "accelerated",
    ),
)  # fmt: skip
def test_gd_worst_case(trial: Trial) -> None:
    """Equality for five horizons, and the bound on twenty random ridges with their minimum at zero.

    Tolerance: T roundings of |w| = 1 against a value of 1 / (4T + 2).
    """
    noise = torch.Generator().manual_seed(trial.seed)
    start = torch.randn(3, generator=noise, dtype=torch.float64)
    start = start / start.norm()
    for steps in (1, 2, 5, 20, 100):
        gd = trial.optimizer("gd", 1.0)
        trial.require("eta = 1 / beta", float(gd.step_size.at(0)) == 1)
        worst = kink(1.0, 1 / (2 * steps + 1))
        end = trial.run(worst, gd, steps, start=start, record=(steps,)).final
        because = f"{steps} steps of rounding"
        trial.identity(f"T = {steps}: Huber", worst.value(end), 1 / (4 * steps + 2), 1e-12, because)
    ridges = problems.ridges(trial.seed, centred=True)
    starts = torch.randn(20, 3, 4, generator=noise, dtype=torch.float64)
    run = trial.run(ridges, trial.optimizer("gd", 1.0), 100, start=starts, record=range(1, 101))
    bound = (starts**2).sum(-1) / (4 * torch.arange(1, 101).double().reshape(-1, 1, 1) + 2)
    trial.at_most("ridges", ridges.value(run.w), bound, 1e-14, "rounding", along=("step",))


@claim(
    "acceleration/nesterov-strongly-convex",
    source="Nesterov 2004, Theorem 2.2.3 (constant scheme III); Bubeck 2015, Theorem 3.18",
    statement=r"With $\eta = 1/\beta$ and $\mu = (\sqrt\kappa-1)/(\sqrt\kappa+1)$ Nesterov's "
    r"$x_t$ has $f(x_t) - f^* \le \frac{\alpha+\beta}{2}|x_0-x^*|^2 (1-1/\sqrt\kappa)^t$; GD's "
    r"exponent is $1/\kappa$.",
    hypotheses=("alpha-strongly convex, beta-smooth", "eta = 1 / beta"),
    kind="bound",
    roles=("nesterov",),
    rivals=(
        "gd", "momentum", "momentum-dropped", "momentum-damped", "nesterov-plain-gradient",
        "ascent", "step-doubled", "adam",
    ),
)  # fmt: skip
def test_nesterov_strongly_convex(trial: Trial) -> None:
    """Twenty ridges of condition 1000 at every step; x_{t+1} = y_t - eta g(y_t), y the parameter.

    No constant is ours. That x is what the momentum is added to is asked as well: y_{t+1} = x_{t+1}
    + mu (x_{t+1} - x_t), with a rounding of 1e-13 of |x_0|. Tolerance of the bound: the values'
    rounding, 1e-15.
    """
    alpha, steps = 1e-3, 600
    root = math.sqrt(1 / alpha)
    mu = (root - 1) / (root + 1)
    ridges = problems.ridges(trial.seed, mu=alpha, centred=True)
    noise = torch.Generator().manual_seed(trial.seed)
    start = torch.randn(20, 2, 4, generator=noise, dtype=torch.float64)
    rule = trial.optimizer("nesterov", 1.0, momentum=mu)
    held = rule.settings.get("momentum", mu)
    trial.require("eta = 1 / beta and the theorem's mu", rule.step_size.at(0) == 1 and held == mu)
    y = trial.run(ridges, rule, steps, start=start, record=range(steps + 1)).w
    x = torch.cat([start.unsqueeze(0), y - ridges.grad(y)])
    ahead = x[1:-1] + mu * (x[1:-1] - x[:-2])
    trial.close("y from x", y[1:], ahead, 1e-13 * float(start.abs().max()), "rounding")
    t = torch.arange(len(x)).double().reshape(-1, 1, 1)
    bound = (alpha + 1) / 2 * (start**2).sum(-1) * (1 - 1 / root) ** t
    gap = ridges.value(x)
    trial.at_most("f(x_t) - f*", gap, bound, 1e-15, "rounding", along=("step", "function"))
