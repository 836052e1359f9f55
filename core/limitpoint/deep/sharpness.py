"""m-sharpness: how far the loss of m examples rises within a ball, by projected ascent."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from limitpoint.deep.networks import Statistics
from limitpoint.deep.problem import Classification
from limitpoint.optimizers.training import projected_ascent


def m_sharpness(
    problem: Classification,
    w: Tensor,
    rho: float,
    m: int,
    *,
    steps: int = 20,
    length: float | None = None,
    above: float = 1.0,
) -> Tensor:
    """Mean over groups of m examples of max over the ball of the group's loss, less that at w.

    Args:
        problem: training problem; its statistics, if any, are those of test time.
        w: shape (S, size).
        rho: radius of the ball.
        m: divides the number of examples.
        steps: of ascent; 1 is SAM's own.
        length: of each step in units of rho; 1 for a single step, else 1/4.
        above: how much of the loss at w is taken off; 0 for the largest loss itself.

    Returns:
        Shape (S,).

    Source: understanding_sam, App. D. It takes 100 steps of length 1/10; 20 of 1/4 come to the
    same within 1% on the networks here.
    """
    length = length or (1.0 if steps == 1 else 0.25)
    groups = replace(problem, sampling=None).sharpness_batches(m)
    if isinstance(problem.statistics, list):
        groups = replace(groups, flat=replace(
            groups.flat, statistics=_repeated(problem.statistics, groups.count)))  # fmt: skip
    with torch.no_grad():
        centre = w.unsqueeze(-2)
        top = projected_ascent(groups, centre, rho, steps=steps, length=length * rho)
        return (groups.value(top) - above * groups.value(centre)).mean(-1)


def _repeated(statistics: list[tuple[Tensor, Tensor]], count: int) -> Statistics:
    return [(m.repeat_interleave(count, 0), v.repeat_interleave(count, 0)) for m, v in statistics]
