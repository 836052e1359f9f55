"""Lion with decay solves a constrained problem: min f over the box |w| <= 1 / lambda."""

import torch

from limitpoint import StepSize, Trial, claim, problems
from limitpoint.theory import moments

BETAS = (0.9, 0.99)


@claim(
    "lion/box",
    source="Chen, Liu, Liang and Liu 2023 (arXiv:2310.05898), Theorems 2.1 and 3.1; the step's "
    "contraction derived",
    statement=r"Lion's iterates obey $\|w'\|_\infty \le (1-\eta\lambda)\|w\|_\infty + \eta$, so "
    r"that they contract into the box $\|w\|_\infty \le 1/\lambda$ and stay; they end at a KKT "
    r"point of the loss over it, $\langle -\lambda w, \nabla f\rangle = \|\nabla f\|_1$.",
    hypotheses=("decoupled decay, eta_t lambda <= 1", "convex loss, steps that sum to infinity"),
    kind="inequality",
    roles=("lion",),
    rivals=(
        "lion-coupled-decay", "lion-beta-swap", "lion-no-decay", "lion-decay-unscaled",
        "lion-one-average", "lion-averaged-first", "adam", "signgd", "gd", "ascent", "stale",
        "schedule-late", "step-doubled", "unnormalised", "accelerated",
    ),
)  # fmt: skip
def test_lion_box(trial: Trial) -> None:
    """Every step is Lion's, its iterates contract into the box, and the KKT gap closes.

    The step is the sign of b1 m + (1 - b1) g with m the b2-average of the run's own gradients, up
    to a rounding of 2^-53 |w| / eta, where that is not itself rounding. The contraction is exact up
    to a rounding of 1e-12. The gap 1 + lambda <w, g> / |g|_1 is zero exactly at KKT points, and its
    bar is calibrated: seeds 0-19 gave .022 at most, and the seeds 20-59, which did not move it,
    .018; a coupled or lost decay leaves the box.
    """
    decay, steps = 1.0, trial.steps(5000, 50_000)
    problem = problems.support_simplex(trial.seed, d=8, n=20)
    noise = torch.Generator().manual_seed(trial.seed)
    start = 3 / decay * torch.randn(8, generator=noise, dtype=torch.float64)
    settings = dict(zip(("beta1", "beta2"), BETAS, strict=True)) | {"weight_decay": decay}
    rule = trial.optimizer("lion", StepSize(0.5, 0.7), free=settings, **settings)
    beta1, beta2, held = (rule.settings.get(name, value) for name, value in settings.items())
    trial.require("eta_t lambda <= 1", 0 < held * rule.step_size.at(0) <= 1)
    starts = torch.stack([problem.start, start])
    run = trial.run(problem, rule, steps, start=starts, record=range(steps + 1))
    eta = run.integrals["step_size"].diff().unsqueeze(-1)
    size = run.w.abs().amax(-1)
    bound = (1 - held * eta) * size[:-1] + eta
    places = ("step", "start")
    trial.at_most("largest entry", size[1:], bound, 1e-12 / held, "rounding", along=places)

    g = problem.grad(run.w[:-1]).tensor()
    kept = moments.moving_average(g, beta2)
    before = torch.cat([torch.zeros_like(kept[:1]), kept[:-1]])
    seen = beta1 * before + (1 - beta1) * g
    each = eta.unsqueeze(-1)
    moved = ((1 - held * each) * run.w[:-1] - run.w[1:]) / each
    certain = seen.abs() > 1e-12 * moments.moving_average(g.abs(), beta2)
    trial.close(
        "the step", torch.where(certain, moved, 0.0), torch.where(certain, seen.sign(), 0.0),
        1e-9, "2^-53 |w| / eta", along=(*places, "entry"),
    )  # fmt: skip
    g = problem.grad(run.final).tensor()
    gap = 1 + held * (g * run.final).sum(-1) / g.abs().sum(-1)
    trial.close("KKT gap", gap, 0.0, 0.05, "calibrated on seeds 0-19", along=("start",))
