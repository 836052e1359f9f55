r"""Discrete steps follow a flow of their own: that of the loss plus a penalty on its gradient.

Backward error analysis: GD is the time-eta map of w' = -g - (eta/2) H g, the flow of L + (eta/4)
|g|^2, up to O(eta^3) a step. Over a fixed time the error is O(eta^2), from the plain flow O(eta).
"""

import math

import torch

from limitpoint import Objective, Trial, claim, optimizers

TIME, COUNTS = 1.0, (10, 30, 100, 300, 1000)


def bowl(seed: int, eta: float = 0.0) -> Objective:
    """sum_k log cosh <v_k, w>, plus eta / 4 times its gradient's square; d = 3."""
    noise = torch.Generator().manual_seed(seed)
    v = torch.randn(4, 3, generator=noise, dtype=torch.float64)
    v = v / torch.linalg.matrix_norm(v, 2)

    def gradient(w: torch.Tensor) -> torch.Tensor:
        slope = torch.tanh(w @ v.mT)
        g = slope @ v
        return g + eta / 2 * ((1 - slope**2) * (g @ v.mT)) @ v

    return Objective("bowl", lambda w: torch.log(torch.cosh(w @ v.mT)).sum(-1), gradient)


@claim(
    "backward-error/gd-modified-flow",
    source="Barrett and Dherin 2021 (arXiv:2009.11162), Theorem 3.1; Hairer, Lubich and Wanner "
    "2006, Chapter IX",
    statement=r"GD follows the flow of $L + \frac{\eta}{4}|\nabla L|^2$ with an error of second "
    r"order in $\eta$ over a fixed time, and the flow of $L$ with one of first order.",
    hypotheses=("three bounded derivatives",),
    kind="rate",
    roles=("gd",),
    rivals=(
        "usam", "sam-l2", "momentum", "adam", "signgd", "ngd", "ascent", "stale", "step-doubled",
        "accelerated",
    ),
)  # fmt: skip
def test_gd_modified_flow(trial: Trial) -> None:
    """Both errors at time one for steps of 1/10 to 1/1000: local slopes of 2 and of 1.

    The next terms are eta times as large, with factors of order one as H is below one: the interval
    of the slope is 10% wide for that. The flows are integrated to 1e-11, a thousandth of the
    least error.
    """
    noise = torch.Generator().manual_seed(trial.seed + 1)
    start = 1 + torch.rand(3, generator=noise, dtype=torch.float64)
    flow = {}
    plain, modified, etas = [], [], []
    for count in COUNTS:
        gd = trial.optimizer("gd", TIME / count)
        eta = float(gd.step_size.at(0))
        trial.require("the step size is the claim's to set", math.isclose(eta * count, TIME))
        end = trial.run(bowl(trial.seed), gd, count, start=start, record=(count,)).final
        for shift in (0.0, eta):
            field = trial.flow(bowl(trial.seed, shift), optimizers.GD(), (0, TIME), start=start)
            flow[shift] = field.final
        etas.append(eta)
        plain.append(float((end - flow[0.0]).norm()))
        modified.append(float((end - flow[eta]).norm()))
    x, y, z = etas[::-1], plain[::-1], modified[::-1]
    trial.rate("distance to the modified flow, in eta", x, z, 1.9, 2.1, "order two")
    trial.rate("distance to the plain flow, in eta", x, y, 0.9, 1.1, "order one")
