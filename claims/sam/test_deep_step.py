"""The step of SAM as deep networks are trained with it (understanding_sam, (4) and App. D)."""

from collections.abc import Iterator

import torch
from torch import Tensor

from limitpoint import Trial, claim, deep
from limitpoint.deep import Classification

RATE, MOMENTUM, DECAY, RHO = 0.05, 0.9, 1e-3, 0.2
STEPS = 4


def problems(seed: int) -> Iterator[Classification]:
    """A perceptron and a conv net with group norm on digits, in float64, two runs side by side."""
    images, options = deep.digits_images(), {"runs": 2, "n": 24, "test": 1, "batch": 12}
    for network, image in (
        (deep.perceptron([64, 16, 10]), None),
        (deep.small_convnet(8), (1, 8, 8)),
    ):
        yield deep.split(
            images, network.double(), seed, image=image, dtype=torch.float64, **options
        )[0]


def by_hand(problem: Classification, m: int | None, normalised: bool) -> Tensor:
    """The last iterate of plain autograd, one group of examples after the other."""
    w, velocity = problem.start, 0.0
    for t in range(STEPS):
        seen = problem.batch(t)
        g = deep.m_sam_gradient(
            seen.network, w, seen.X, seen.y, RHO, m, normalised=normalised, form="loop"
        )
        velocity = MOMENTUM * velocity + g + DECAY * w
        w = w - RATE * velocity
    return w


@claim(
    "sam/deep-step",
    source="understanding_sam, (4); App. D",
    statement=r"A training step of $m$-SAM is $v \leftarrow \mu v + \frac{m}{b}\sum_S \nabla L_S("
    r"w + \epsilon_S) + \lambda w$, $w \leftarrow w - \eta v$ over the groups $S$ of $m$ examples "
    r"of its minibatch, with $\epsilon_S = \rho \nabla L_S(w) / \|\nabla L_S(w)\|$, or "
    r"$\rho \nabla L_S(w)$ without normalisation.",
    hypotheses=("m divides the minibatch",),
    kind="identity",
    roles=("deep-sam",),
    rivals=(
        "deep-n-sam",
        "deep-m-ignored",
        "deep-no-ascent",
        "deep-rho-doubled",
        "deep-old-point",
        "deep-length",
        "deep-downhill",
        "deep-kept",
        "deep-stale",
        "deep-no-momentum",
    ),
)
def test_deep_sam_step(trial: Trial) -> None:
    """Four steps with momentum and weight decay against autograd, group by group.

    Tolerance 1e-12 of the largest entry: some hundred sums of a thousand terms in float64, in
    another order, and a division by a gradient's length that is far from zero.
    """
    for problem in problems(trial.seed):
        for m, normalised in ((1, True), (4, True), (None, True), (4, False)):
            sam = trial.optimizer(
                "deep-sam", RATE, momentum=MOMENTUM, weight_decay=DECAY,
                rho=RHO, m=m, normalised=normalised,
            )  # fmt: skip
            run = trial.run(problem, sam, STEPS)
            layers = type(problem.network.module[0]).__name__
            title = f"{problem.name}, {layers}: iterate with m = {m or 'all'}, unit {normalised}"
            expected = by_hand(problem, m, normalised)
            trial.identity(title, run.final, expected, 1e-12, "order of float64 sums")
