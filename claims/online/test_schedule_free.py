"""Schedule-free descent: the last average is as good as a step size that knows the horizon."""

import math

import torch

from limitpoint import Objective, Trial, claim

D = 6


def lipschitz(seed: int) -> list[Objective]:
    """Convex, 1-Lipschitz, minimum zero at w = 0: a norm, a largest slope, a mean of kinks."""
    noise = torch.Generator().manual_seed(seed)
    a = torch.randn(5, D, generator=noise, dtype=torch.float64)
    a = torch.cat([a, -a])
    a = a / a.norm(dim=-1).amax()
    b = a / torch.linalg.matrix_norm(a, 2) / math.sqrt(len(a))
    return [
        Objective(
            "norm",
            lambda w: w.norm(dim=-1),
            lambda w: w / w.norm(dim=-1, keepdim=True).clamp_min(1e-300),
        ),
        Objective("largest", lambda w: (w @ a.mT).amax(-1), lambda w: a[(w @ a.mT).argmax(-1)]),
        Objective("kinks", lambda w: (w @ b.mT).abs().sum(-1), lambda w: (w @ b.mT).sign() @ b),
    ]


@claim(
    "online/schedule-free",
    source="Defazio et al. 2024 (arXiv:2405.15682), Theorem 1; the step from (3)-(5)",
    statement=r"On a convex $G$-Lipschitz function with $\eta = D/(G\sqrt{T})$, $D = |w_0 - w^*|$, "
    r"the average of $z_1, \dots, z_T$ has $F(x_T) - F^* \le DG/\sqrt{T}$, for any $\beta$ in "
    "[0, 1].",
    hypotheses=("convex, G-Lipschitz", "the constant step of the theorem"),
    kind="bound",
    roles=("schedule-free",),
    rivals=(
        "average-late", "average-exponential", "average-swapped", "average-restarted", "gd",
        "momentum", "signgd", "ascent", "stale", "step-doubled", "accelerated",
    ),
)  # fmt: skip
def test_schedule_free(trial: Trial) -> None:
    """The bound for three functions, three beta and three horizons, and every step's gradient.

    No constant is ours. The step is seen from outside: z is the average undone, z_{t+1} = (t + 2)
    x_{t+1} - (t + 1) x_t, and moves by eta times the gradient between z and x. The authors' class
    leaves the start out of the average: a plain step comes first, and the theorem begins behind it,
    with |z_1 - w*|^2 / (2 eta T) + eta G^2 / 2 as its proof has for any eta. beta = 0, plain
    averaging, is refused by that class: .01 is as good. Tolerance: undoing the average rounds at T
    2^-53, over eta > .01 that is 1e-10. Where the gradient jumps, an argument that rounding decides
    is left out.
    """
    noise = torch.Generator().manual_seed(trial.seed + 1)
    start = torch.randn(D, generator=noise, dtype=torch.float64)
    for loss in lipschitz(trial.seed):
        for usual in (0.01, 0.5, 0.9):
            for horizon in (4, 30, 300):
                step_size = float(start.norm()) / math.sqrt(horizon)
                rule = trial.optimizer(
                    "schedule-free", step_size, free=("momentum",), momentum=usual
                )
                beta = float(rule.settings.get("momentum", usual))
                eta = float(rule.step_size.at(0))
                run = trial.run(loss, rule, horizon, start=start, record=range(horizon + 1))
                plain = (run.w[1] - start + eta * loss.grad(start)).abs().max() < 1e-12
                x = run.w[1:] if plain else run.w[:-1]
                name = f"{loss.name}, beta = {beta}, T = {horizon}"
                bound = x[0].square().sum() / (2 * eta * horizon) + eta / 2
                trial.at_most(name, loss.value(x[-1]), bound, 1e-14, "Theorem 1, rounding")
                t = torch.arange(horizon).double().unsqueeze(-1)
                z = torch.cat([x[:1], (t[1:] + 1) * x[1:] - t[1:] * x[:-1]])
                y = (1 - beta) * z[:-1] + beta * x[:-1]
                near = torch.stack([loss.grad(y + sign * 1e-10) for sign in (-1, 1)])
                sure = (near[0] - near[1]).abs().amax(-1) < 1e-6
                moved = (z[:-1] - z[1:]) / eta
                trial.close(
                    f"{name}: the step", moved[sure], loss.grad(y)[sure], 1e-8, "rounding of T x"
                )
