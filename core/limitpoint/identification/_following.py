"""Running an optimizer along a course, and what is measured on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limitpoint.engines import definition
from limitpoint.engines.trajectory import log_grid
from limitpoint.errors import Inconclusive, NotApplicable, SubjectFailed
from limitpoint.identification._courses import Course, Seen, StepSizes
from limitpoint.optimizers import Rule
from limitpoint.optimizers.schedules import StepSize
from limitpoint.problems import far_apart
from limitpoint.problems.problem import Problem, stack
from limitpoint.subjects import Subject
from limitpoint.theory.limits import Norm, max_margin
from limitpoint.theory.measures import log_dual_norm, normalised_margin

NORMS: dict[str, Norm] = {
    "l1": 1.0,
    "l2": 2.0,
    "l-infinity": float("inf"),
    "spectral": "spectral",
    "nuclear": "nuclear",
}
PER_DECADE, LAG = 8, 4
FIRST_STEP, PROBE, PROBED = 0.5, 1e-6, 20
Array = NDArray[np.float64]
Watch = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Curves:
    """What was measured along one course, the least over the problems.

    Attributes:
        times: recorded steps, int64 (R,).
        position: margin of W_t in each norm over the certified optimum, (R, 5), at most 1.
        heading: the same of W_t - W_s, s the record half a decade before t; NaN where none is.
        gradient: natural logarithm of the mean |entry| of the gradient handed over, (R,): the
            largest over the problems.
        size: ||W_t||_2, the least over the problems, (R,).
        loss: log L, the largest over the problems, (R,).
        ended: why the run ended before its horizon, else "".
    """

    times: NDArray[np.int64]
    position: Array
    heading: Array
    gradient: Array
    size: Array
    loss: Array
    ended: str = ""


@cache
def problems_and_optima() -> tuple[Problem, Tensor]:
    """The problems as one batch, and the certified maximum margins, (problems, norms)."""
    each = far_apart()
    optima = [
        [max_margin(p.X.numpy(), p.y.numpy(), n, classes=p.classes).value for n in NORMS.values()]
        for p in each
    ]
    return stack(each), torch.tensor(optima, dtype=torch.float64)


def first_step_size(subject: Subject) -> float:
    """The lr with which one of the first steps moves a difference of two logits by at most 1/2.

    A probe of 20 steps at lr 1e-6, where every gradient is the first one: what momentum and warm-up
    make of it is counted. A step size of the user's own is left as it is.

    Raises:
        SubjectFailed: the optimizer fails at that, or does not move.
    """
    problem, _ = problems_and_optima()
    rule = subject.rule(StepSize(PROBE), weight_decay=0.0)
    initial = float(rule.step_size.at(0))
    if initial != PROBE:
        return initial
    probe = Course("probe", "")
    times, w, ended = _iterate(Seen(problem, (probe,)), rule, log_grid(PROBED), None)
    if ended:
        raise SubjectFailed(ended)
    gaps = problem.margins(w[-1])
    moved = float(gaps[torch.isfinite(gaps)].abs().max())
    if not moved > 0:
        raise SubjectFailed(f"did not move in its first {PROBED} steps")
    return FIRST_STEP * PROBE * float(times[-1]) / moved


def follow(
    subject: Subject,
    courses: tuple[Course, ...],
    step_size: float,
    steps: int,
    *,
    watch: Watch | None = None,
) -> list[Curves]:
    """Run a subject along courses on all problems, and measure.

    All of them in one run, whose gradients cost little more than one course's, within the limits
    of as many; each alone where one of them ends early.

    Args:
        subject: the optimizer; it is given one parameter for each course and problem.
        courses: at least one.
        step_size: of the first step.
        steps: the horizon.
        watch: called with the step.

    Raises:
        SubjectFailed: it raised, left the numbers, did not move or took more than it may.
    """
    problem, _ = problems_and_optima()
    together = replace(subject, limits=subject.limits.for_runs(len(courses)))
    rule = together.rule(StepSizes(courses, step_size), weight_decay=0.0)
    times, w, ended = _iterate(Seen(problem, courses), rule, log_grid(steps, PER_DECADE), watch)
    if ended and len(courses) > 1:
        alone = [follow(subject, (one,), step_size, steps, watch=watch) for one in courses]
        return [curves for found in alone for curves in found]
    return [_measured(one, times, w[:, k], ended) for k, one in enumerate(courses)]


def _measured(course: Course, times: NDArray[np.int64], w: Tensor, ended: str) -> Curves:
    """The curves of recorded iterates (R, problems, k, d) along one course."""
    problem, optima = problems_and_optima()
    lag = min(LAG, len(times))
    heading = torch.full((len(times), len(NORMS)), torch.nan, dtype=torch.float64)
    heading[lag:] = _ratios(problem, w[lag:] - w[: len(times) - lag], optima)
    return Curves(
        times,
        _ratios(problem, w, optima).numpy(),
        heading.numpy(),
        _log_gradient(problem, course, times, w).numpy(),
        torch.linalg.matrix_norm(w).amin(-1).numpy(),
        torch.stack([problem.log_value(row) for row in w]).amax(-1).numpy(),
        ended,
    )


def _iterate(
    seen: Seen, rule: Rule, grid: NDArray[np.int64], watch: Watch | None
) -> tuple[NDArray[np.int64], Tensor, str]:
    """Recorded steps, iterates (R, courses, problems, k, d), and why there are no more of them."""
    _ = seen.kernels  # compiled for all processes to come
    found = rule.apart(lambda: _iterated(seen, rule, grid), seen, seen.start, watch)
    w, ended = torch.from_numpy(found["w"]), bytes(found["ended"]).decode()
    if not len(w):
        raise SubjectFailed(ended)
    return grid[: len(w)], w, ended


def _iterated(seen: Seen, rule: Rule, grid: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    kept, recorded, t = [], set(grid.tolist()), 0
    ended = ""
    try:
        steps = definition.iterates(rule, lambda t: replace(seen, t=t), seen.start, int(grid[-1]))
        for t, (w, _) in enumerate(steps):
            if t in recorded:
                definition.check_finite(w, t)
                kept.append(w.clone())
    except Inconclusive as reason:
        ended = str(reason)
    except (SubjectFailed, NotApplicable) as reason:
        raise SubjectFailed(str(reason)) from reason
    except Exception as reason:
        what = " ".join(f"{type(reason).__name__} at step {t}: {reason}".split())
        raise SubjectFailed(f"raised {what}") from reason
    iterates = torch.stack(kept) if kept else seen.start.new_empty(0, *seen.start.shape)
    return {"w": iterates.numpy(), "ended": np.frombuffer(ended.encode(), dtype=np.uint8)}


def _ratios(problem: Problem, w: Tensor, optima: Tensor) -> Tensor:
    """Normalised margins over the optima, the least over the problems; 0 where W is 0: (R, 5)."""
    each = [
        normalised_margin(problem, w, norm) / optima[:, j] for j, norm in enumerate(NORMS.values())
    ]
    return torch.stack(each, dim=-1).nan_to_num(0.0).amin(1)


def _log_gradient(problem: Problem, course: Course, times: NDArray[np.int64], w: Tensor) -> Tensor:
    log_sum = torch.stack([log_dual_norm(problem, row, float("inf")) for row in w])
    log_mean = log_sum - np.log(w.shape[-1] * w.shape[-2])
    if course.per_loss:
        log_mean = log_mean - torch.stack([problem.log_value(row) for row in w])
        factors = torch.tensor([course.factor(int(t)) for t in times], dtype=torch.float64)
        log_mean = log_mean + factors.log().unsqueeze(-1)
    return log_mean.amax(-1)
