"""Muon with decay solves a constrained problem too: min f over the ball of the spectral norm."""

import torch

from limitpoint import StepSize, Trial, claim, problems
from limitpoint.theory import moments


@claim(
    "lion/spectral-ball",
    source="Chen, Li and Liu 2025 (arXiv:2506.15054), Muon as Lion-K; the contraction derived",
    statement=r"Muon with decay $\lambda$ has $\|W'\|_2 \le (1-\eta\lambda)\|W\|_2 + \eta$: it "
    r"contracts into the ball $\|W\|_2 \le 1/\lambda$ of the spectral norm and stays; it ends at a "
    r"KKT point of the loss over it, $\langle -\lambda W, \nabla f\rangle = \|\nabla f\|_*$.",
    hypotheses=("decoupled decay, eta_t lambda <= 1", "the exact polar factor", "convex loss"),
    kind="inequality",
    roles=("muon",),
    rivals=(
        "newton-schulz", "muon-rank-one", "muon-stretched", "muon-order", "muon-nesterov",
        "muon-scaled", "muon-decay-coupled", "muon-decay-lost", "signgd", "ascent", "stale",
        "step-doubled", "schedule-late",
    ),
)  # fmt: skip
def test_muon_spectral_ball(trial: Trial) -> None:
    """Every step is the steepest one for the averaged gradient; the ball and the KKT gap follow.

    The step D is told by what it does: ||D||_2 <= 1 and <D, M> = ||M||_*, M the average of the
    run's own gradients; unlike the polar factor that is well conditioned. Tolerance: 2^-53 ||W|| /
    eta. The gap 1 + lambda <W, g> / ||g||_* is zero exactly at KKT points, and its bar is
    calibrated: seeds 0-19 gave 7e-5 at most, and the seeds 20-59, which did not move it, 9e-5.
    """
    decay, steps = 1.0, trial.steps(600, 6000)
    problem = problems.clusters(trial.seed, k=4, d=8, per_class=4)
    noise = torch.Generator().manual_seed(trial.seed)
    start = 2 / decay * torch.randn(problem.start.shape, generator=noise, dtype=torch.float64)
    settings = {"beta1": 0.9, "weight_decay": decay}
    rule = trial.optimizer("muon", StepSize(0.5, 0.7), free=settings, **settings)
    beta1, held = (rule.settings.get(name, value) for name, value in settings.items())
    trial.require("0 < eta_t lambda <= 1", 0 < held * rule.step_size.at(0) <= 1)
    starts = torch.stack([problem.start, start])
    run = trial.run(problem, rule, steps, start=starts, record=range(steps + 1))
    eta = run.integrals["step_size"].diff().reshape(-1, 1)
    size = torch.linalg.matrix_norm(run.w, 2)
    bound = (1 - held * eta) * size[:-1] + eta
    places = ("step", "start")
    trial.at_most("spectral norm", size[1:], bound, 1e-12, "rounding", along=places)

    m = moments.moving_average(problem.grad(run.w[:-1]).tensor(), beta1)
    each = eta.reshape(-1, 1, 1, 1)
    step = ((1 - held * each) * run.w[:-1] - run.w[1:]) / each
    because = "2^-53 |W| / eta"
    longest = torch.linalg.matrix_norm(step, 2)
    trial.at_most("spectral norm of a step", longest, 1.0, 1e-9, because, along=places)
    steepest = (step * m).sum((-2, -1)) / torch.linalg.matrix_norm(m, "nuc")
    trial.close("<D, M> over ||M||_*", steepest, 1.0, 1e-9, because, along=places)
    g = problem.grad(run.final).tensor()
    gap = 1 + held * (g * run.final).sum((-2, -1)) / torch.linalg.matrix_norm(g, "nuc")
    trial.close("KKT gap", gap, 0.0, 0.005, "calibrated on seeds 0-19", along=("start",))
