"""Adam's bias is its batch's: in the max-norm with all examples at once, in the 2-norm with one.

Examples with |x_ij| = a_i for every j: one at a time, all entries of g^2 are equal, so that Adam's
preconditioner is a number, and each step is in the span of the examples, as GD's is.
"""

from dataclasses import replace

import numpy as np
import torch

from limitpoint import Problem, Trial, claim, limits, losses, measures, models
from limitpoint.optimizers import Stochastic
from limitpoint.theory import moments

N, D = 6, 40
BETAS = {"beta1": 0.9, "beta2": 0.95, "epsilon": 0.0}


def equal_entries(seed: int) -> Problem:
    """Signs times a_i in [.5, 1.5], labels one; separable as n < d."""
    noise = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (N, D), generator=noise).double() * 2 - 1
    a = 0.5 + torch.rand(N, 1, generator=noise, dtype=torch.float64)
    start, y = torch.zeros(D, dtype=torch.float64), torch.ones(N, dtype=torch.float64)
    return Problem(
        "equal-entries", models.Linear(), losses.Logistic(mean=True), a * signs, y, start
    )


@claim(
    "sign-and-batch/adam-one-example",
    source="Baek, Song and Yun 2025 (arXiv:2510.26303), Section 3 (l2 bias of incremental Adam); "
    "the step derived",
    statement=r"On examples with $|x_{ij}| = a_i$ Adam with batches of one moves in the span of "
    r"the $x_i$, as GD does: its second moment is one number. All examples at once, it leaves it.",
    hypotheses=("all entries of an example are equally large", "no epsilon", "batches of one"),
    kind="identity",
    roles=("adam",),
    rivals=(
        "adam-beta-swap", "amsgrad", "adam-squared-twice", "adam-undamped", "adam-root-lost",
        "adam-late-moment", "gd", "signgd", "momentum", "ascent", "stale", "step-doubled",
        "accelerated", "adam-epsilon",
    ),
)  # fmt: skip
def test_adam_one_example(trial: Trial) -> None:
    """Every step from the run's own examples, its place in the span, and the full batch's outside.

    The step is m / sqrt(v) with a v of one number for all entries; the examples drawn are those of
    the run's stream. Tolerance: rounding of |w| / eta. After 3000 steps the margin in the 2-norm is
    nearer to its optimum than that in the max-norm. All examples at once leave the span further
    than rounding does at any step of one at a time, a thousand times its tolerance.
    """
    problem, steps = equal_entries(trial.seed), 3000
    adam = trial.optimizer("adam", 0.02, free=("beta1", "beta2"), **BETAS)
    eta = float(adam.step_size.at(0))
    one = trial.run(problem, Stochastic(adam, seed=trial.seed), steps, record=range(steps + 1))
    drawn = np.random.Generator(np.random.PCG64(trial.seed)).integers(N, size=steps)
    seen = replace(problem, X=problem.X[drawn].unsqueeze(-2), y=problem.y[drawn].unsqueeze(-1))
    g = seen.grad(one.w[:-1]).tensor()
    given = BETAS | dict(adam.settings)
    m = moments.moving_average(g, given["beta1"])
    v = moments.moving_average(g[:, :1] ** 2, given["beta2"])
    moved = (one.w[:-1] - one.w[1:]) / eta
    first = moments.correction_seen(moved[0].abs().max(), given["beta1"], given["beta2"], steps)
    expected = first.unsqueeze(-1) * m / v.sqrt()
    places = ("step", "entry")
    trial.close("the step", moved, expected, 1e-9, "rounding of |w| / eta", along=places)
    off = measures.off_span(problem.X, one.w[1:]) / one.w[1:].norm(dim=-1)
    trial.at_most("off the span", off, 0.0, 1e-12, "rounding", along=("step",))
    every = trial.run(problem, adam, steps, record=(steps,)).final
    away = measures.off_span(problem.X, every) / every.norm()
    trial.at_least("all at once: off the span", away, 1e-9, 0.0, "a thousand roundings")
    shares = [
        measures.normalised_margin(problem, one.final, norm)
        / limits.max_margin(problem.X, problem.y, norm).value
        for norm in (torch.inf, 2.0)
    ]
    trial.ordering(
        "one at a time: share of the max-norm's margin, of the 2-norm's", *shares, "bias"
    )
