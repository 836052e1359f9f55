"""One-hidden-layer ReLU networks on twelve points (understanding_sam, Fig. 7)."""

import torch

from limitpoint import LinearStep, Trial, claim, problems
from limitpoint.optimizers import GD
from limitpoint.problems import relu


@claim(
    "sam/relu-regression",
    source="understanding_sam, Fig. 7; setting from the authors' notebook",
    statement="SAM fits the points of Fig. 7, to a quarter of the best constant's loss at least, "
    "by functions whose slope varies less than plain gradient descent's, and that depend less on "
    "the random start.",
    hypotheses=("100 hidden ReLUs", "normalised SAM with rho = 0.3"),
    kind="ordering",
    roles=("sam-l2",),
    rivals=("ascent-unit-random", "rho-zero"),
)
def test_sam_l2_relu_regression(trial: Trial) -> None:
    """Total variation of f' start by start, and the spread of f over five starts.

    Both from the same five starts with the same schedule (the authors' plain runs keep their step
    size), then plain gradient descent to fit the points. An empirical claim: the gaps are
    calibrated. At the full horizon the variation falls below half of plain gradient descent's on
    each start, at the quick one, a tenth of the steps, below 0.85 of it. The loss has to be below a
    quarter of the best constant's on every start: on most it is below a thousandth, and where a
    point is still missed further steps change the variation by a percent. The seeds 20-29, which
    moved none of the three bars, keep them at the quick horizon with .19 of each to spare.
    """
    problem, steps = problems.relu_regression(trial.seed), trial.steps(30_000, 300_000)
    rho = torch.tensor([0.3, 0.0], dtype=torch.float64).reshape(2, 1, 1, 1)
    start = problem.start.expand(2, -1, -1, -1)
    sam = trial.optimizer("sam-l2", LinearStep(5e-5, total=steps), rho=rho)
    run = trial.run(problem, sam, steps, start=start, record=(steps,))
    fit = trial.run(problem, GD(5e-5), steps // 3, start=run.final, record=(steps // 3,)).final
    because = "calibrated on the starts of seeds 0-19"
    constant = relu.TARGETS.var(correction=0) * 6
    trial.at_most("loss", problem.value(fit), 0.25 * constant, 0.0, because)

    variation = problems.slope_variation(fit)
    factor = 0.85 if trial.setting.horizon == "quick" else 0.5
    trial.ordering("total variation of f'", variation[0], factor * variation[1], because)
    x = torch.linspace(-1.305, 1.445, 400, dtype=torch.float64)
    spread = problems.relu_function(fit, x).std(1).mean(-1)
    trial.ordering("spread over the starts", spread[0], 0.95 * spread[1], because)
