"""What a step of momentum is, on whatever function: a weighted sum of all gradients so far."""

from limitpoint import StepSize, Trial, claim, problems
from limitpoint.theory import moments

SLIPS = ("ascent", "stale", "schedule-late", "step-doubled", "accelerated")
#: Steps that fall, so that it shows whether the buffer holds gradients or displacements.
FALLING = StepSize(0.2, 0.5)
STEPS = 50


def asked_and_done(trial: Trial, role: str):
    """(w_t - w_{t+1}) / eta_t, the gradients at the run's own iterates, and mu."""
    problem = problems.gaussian_regression(trial.seed, random_start=True)
    rule = trial.optimizer(role, FALLING.times(0.05), free=("momentum",), momentum=0.9)
    run = trial.run(problem, rule, STEPS, record=range(STEPS + 1))
    moved = moments.displacements(run, rule)
    return moved, problem.grad(run.w[:-1]), rule.settings.get("momentum", 0.9)


@claim(
    "momentum/heavy-ball-step",
    source="Polyak 1964; Sutskever et al. 2013, (1)-(2) with the step size outside the sum",
    statement=r"Heavy ball's step is $w_{t+1} = w_t - \eta_t \sum_{s \le t} \mu^s g_{t-s}$.",
    hypotheses=("the buffer holds gradients: the step size of the day multiplies all of it",),
    kind="identity",
    roles=("momentum",),
    rivals=(
        "gd", "nesterov", "momentum-damped", "momentum-step-inside", "momentum-late",
        "momentum-dropped", *SLIPS,
    ),
)  # fmt: skip
def test_momentum_step(trial: Trial) -> None:
    """Every step is the discounted sum of the gradients at the run's own iterates.

    On falling steps, where the two conventions of the field part: PyTorch's buffer holds gradients,
    Keras's displacements. Tolerance: w_t - w_{t+1} rounds at 2^-53 |w|, over eta_t >= 1e-3 that is
    1e-12; |w| is below 10, and the sums are above one.
    """
    moved, g, mu = asked_and_done(trial, "momentum")
    buffer = moments.moving_average(g, mu) / (1 - mu)
    trial.identity("the step", moved, buffer, 1e-11, "2^-53 |w| / eta_t", along=("step", "entry"))


@claim(
    "momentum/nesterov-step",
    source="Sutskever et al. 2013, (3)-(4), at the point that is looked ahead to (Bengio et al. "
    "2012)",
    statement=r"Nesterov's step is $w_{t+1} = w_t - \eta_t (g_t + \mu \sum_{s \le t} \mu^s "
    r"g_{t-s})$.",
    hypotheses=("the parameter is the point that is looked ahead to",),
    kind="identity",
    roles=("nesterov",),
    rivals=(
        "gd", "momentum", "nesterov-plain-gradient", "nesterov-old-buffer", "momentum-damped",
        "momentum-step-inside", *SLIPS,
    ),
)  # fmt: skip
def test_nesterov_step(trial: Trial) -> None:
    """Every step is the gradient plus mu times the discounted sum, as for heavy ball."""
    moved, g, mu = asked_and_done(trial, "nesterov")
    ahead = g + mu * moments.moving_average(g, mu) / (1 - mu)
    trial.identity("the step", moved, ahead, 1e-11, "2^-53 |w| / eta_t", along=("step", "entry"))
