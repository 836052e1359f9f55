"""Homogeneous networks: what gradient descent conserves, and what never falls."""

from dataclasses import replace

import torch

from limitpoint import StepSize, Trial, claim, losses, models, problems


@claim(
    "homogeneous/balance",
    source="Du, Hu and Lee 2018 (arXiv:1806.00900), Theorem 2.1 (the flow conserves it); the "
    "discrete change derived",
    statement=r"In a ReLU network each unit's $|u_j|^2 + b_j^2 - v_j^2$ changes in a step of GD by "
    r"exactly $\eta^2(|\partial_{u_j} L|^2 + (\partial_{b_j} L)^2 - (\partial_{v_j} L)^2)$: to "
    "first order not at all.",
    hypotheses=("f is homogeneous in the incoming and in the outgoing weights of a unit",),
    kind="identity",
    roles=("gd",),
    rivals=(
        "momentum", "adam", "signgd", "ngd", "usam", "sam-l2", "sam-linf", "stale", "step-doubled",
        "schedule-late", "accelerated",
    ),
)  # fmt: skip
def test_gd_balance(trial: Trial) -> None:
    """Every unit at every step, with falling steps; by Euler the terms of first order cancel.

    What goes uphill by mistake changes it alike, as eta enters squared: that is not refuted here.
    Tolerance: sums of ten squares of order one.
    """
    problem = problems.relu_regression(trial.seed)
    gd = trial.optimizer("gd", StepSize(5e-4, 0.5))
    run = trial.run(problem, gd, 100, start=problem.start / 5, record=range(101))
    sign = torch.ones(run.w.shape[-2], 1, dtype=torch.float64)
    sign[-1] = -1
    eta = run.integrals["step_size"].diff().reshape(-1, 1, 1)
    change = (sign * run.w**2).sum(-2).diff(dim=0)
    g = problem.grad(run.w[:-1])
    expected = eta**2 * (sign * g**2).sum(-2)
    size = float((run.w**2).sum(-2).max())
    places = ("step", "start", "unit")
    trial.close("change", change, expected, 1e-14 * size, "rounding of the squares", along=places)
    scale = (eta * (run.w[:-1] * g).abs().sum(-2)).amax()
    trial.ordering("largest change, below first order", change.abs().max(), scale, "it cancels")


@claim(
    "homogeneous/smoothed-margin",
    source="Lyu and Li 2020 (arXiv:1906.05890), Theorem 4.1",
    statement=r"Once the sum of exponential losses is below one, GD with small steps never lowers "
    r"the smoothed margin $\log(1/L)/|\theta|_2^D$ of a network that is homogeneous of degree $D$.",
    hypotheses=("homogeneous, smooth", "exponential loss, summed", "eta L log(1/L) small"),
    kind="inequality",
    roles=("gd",),
    rivals=("momentum", "signgd", "cd", "ascent"),
)  # fmt: skip
def test_gd_smoothed_margin(trial: Trial) -> None:
    """Every step of a diagonal network (D = 2) from the first on with L < 1.

    Tolerance: the smoothed margin rounds at 1e-14, and a step moves it by much more for most of the
    run. The start favours the wrong coordinates, so that the direction has a way to go.
    """
    data = problems.support_simplex(trial.seed)
    noise = torch.Generator().manual_seed(trial.seed)
    start = 0.5 + 0.5 * torch.rand(2, data.X.shape[-1], generator=noise, dtype=torch.float64)
    problem = replace(
        data, model=models.DiagonalDifference(), loss=losses.Exponential(), start=start
    )
    gd = trial.optimizer("gd", 0.01)
    run = trial.run(problem, gd, 3000, record=range(3001))
    log_loss = problem.log_value(run.w)
    size = (run.w**2).sum((-2, -1))
    below = log_loss < 0
    trial.require("the loss falls below one", below.any())
    smoothed = (-log_loss / size)[below]
    trial.at_least("its increments", smoothed.diff(), 0.0, 1e-13, "rounding", along=("step",))
    trial.ordering("it rises", smoothed[0], smoothed[-1], "towards the margin")
