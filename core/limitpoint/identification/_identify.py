"""The whole of it: every course, every verdict, one answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from limitpoint.errors import SubjectFailed, UsageError
from limitpoint.identification._courses import COURSES, Course
from limitpoint.identification._deciding import FAILED, Answer, Verdict, conclude, judge
from limitpoint.identification._following import NORMS, Curves, Watch, first_step_size, follow
from limitpoint.identification._horizon import SHORTEST, STEPS, TIMEOUT
from limitpoint.subjects import USUAL, Accepted, Limits, Subject


@dataclass(frozen=True, eq=False)
class Identification:
    """What came out.

    Attributes:
        target: the optimizer, "module:attribute[,key=value...]".
        answer: the geometry, or why there is none.
        step_size: lr of the first step; NaN where the optimizer failed before that.
        steps: the horizon of each course.
        verdicts: by the course's name; empty if the optimizer failed.
        curves: by the course's name.
        notes: on settings: epsilon, weight decay.
    """

    target: str
    answer: Answer
    step_size: float
    steps: int
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    curves: dict[str, Curves] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def norm(self) -> str | None:
        """The geometry's name, or None."""
        return self.answer.norm

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "target": self.target,
            "answer": self.answer.answer,
            "norm": self.answer.norm,
            "shortfall": self.answer.shortfall,
            "why": self.answer.why,
            "notes": self.notes,
            "step_size": None if math.isnan(self.step_size) else self.step_size,
            "steps": self.steps,
            "courses": [_course_json(course, self) for course in COURSES if self.verdicts],
        }


def _course_json(course: Course, found: Identification) -> dict[str, Any]:
    verdict, curves = found.verdicts[course.name], found.curves[course.name]
    return {
        "name": course.name,
        "schedule": course.about,
        "status": verdict.status,
        "norm": verdict.norm,
        "ratio": verdict.ratio,
        "rising": verdict.rising,
        "text": verdict.text,
        "epsilon_step": verdict.epsilon_step,
        "ended": curves.ended,
        "steps": curves.times.tolist(),
        "mean_gradient_log10": (curves.gradient / math.log(10)).tolist(),
        "position": dict(zip(NORMS, curves.position.T.tolist(), strict=True)),
        "heading": {
            name: [None if math.isnan(x) else x for x in row]
            for name, row in zip(NORMS, curves.heading.T.tolist(), strict=True)
        },
    }


def identify(
    optimizer: Callable[..., Any],
    *,
    steps: int = STEPS,
    timeout: float | None = TIMEOUT,
    memory: float | None = USUAL.memory,
    watch: Watch | None = None,
    **kwargs: Any,
) -> Identification:
    """Which of l1, l2, l-infinity, spectral and nuclear norm an optimizer maximises the margin in.

    Args:
        optimizer: a `torch.optim.Optimizer` class, any callable (params, **kwargs) that returns an
            object with `.step()`, or a limitpoint `Rule`.
        steps: the horizon of each of the four courses, >= 100.
        timeout: seconds that the optimizer may take on one course, or None.
        memory: gigabytes that the process may gain on one course, or None.
        watch: called with the step, for progress.
        kwargs: arguments of the optimizer. Its step size is chosen so that the first steps change a
            difference of logits by at most 1/2, unless given; a weight decay is zero unless given.

    Raises:
        UsageError: arguments that the optimizer does not take, or a horizon out of range.

    Source: Fan, Schmidt, Thrampoulidis 2025, arXiv 2502.04664, for the limits; the rule of decision
    is that of `limitpoint.identification._deciding`.
    """
    subject = Subject.from_object("identify", optimizer, Limits(timeout, memory), **kwargs)
    return identify_subject(subject, steps=steps, watch=watch)


def identify_subject(
    subject: Subject, *, steps: int = STEPS, watch: Watch | None = None
) -> Identification:
    """The same for a `Subject`, whose limits are those of one course; see `identify`."""
    if steps < SHORTEST:
        raise UsageError(f"{steps} steps are too few to see a trend: {SHORTEST} or more")
    target, step_size = subject.spec.partition("=")[2], math.nan
    try:
        step_size = first_step_size(subject)
        epsilon = _argument(subject, "eps", "epsilon")
        found = follow(subject, COURSES, step_size, steps, watch=watch)
        curves = {course.name: own for course, own in zip(COURSES, found, strict=True)}
        verdicts = {name: judge(own, epsilon) for name, own in curves.items()}
    except SubjectFailed as failure:
        return Identification(target, Answer(FAILED, None, None, str(failure)), step_size, steps)
    notes = _notes(subject, verdicts, epsilon)
    return Identification(target, conclude(verdicts), step_size, steps, verdicts, curves, notes)


def _argument(subject: Subject, *names: str) -> float | None:
    """A number among the optimizer's arguments, as given or by default; None if there is none."""
    values = {**Accepted.by(subject.constructor).defaults, **subject.kwargs}
    found = [values[name] for name in names if isinstance(values.get(name), int | float)]
    return float(found[0]) if found else None


def _notes(subject: Subject, verdicts: dict[str, Verdict], epsilon: float | None) -> list[str]:
    notes = []
    taken = {name: v.epsilon_step for name, v in verdicts.items() if v.epsilon_step is not None}
    if taken:
        where = ", ".join(f"{name} from step {step}" for name, step in taken.items())
        notes.append(
            f"epsilon = {epsilon:g} is above the mean |gradient|: {where}. "
            "From there on it divides by a constant, as gradient descent does"
        )
    decay = _argument(subject, "weight_decay")
    if decay and "weight_decay" not in subject.kwargs:
        notes.append(f"weight decay is off: its default, {decay:g}, would stop ||W||")
    return notes
