"""A rule on a problem over settings of both: what can share a compiled run does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from inspect import Parameter, signature
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limitpoint import problems
from limitpoint.engines.run import run
from limitpoint.engines.trajectory import Trajectory
from limitpoint.errors import UsageError, meant
from limitpoint.optimizers import Rule
from limitpoint.optimizers.roles import ROLES
from limitpoint.optimizers.schedules import StepSize
from limitpoint.problems.problem import Problem, stack
from limitpoint.sweeps._grid import Columns, Settings

#: Takes the batch's problem, its run, and the axes by name, each of shape (B,), float64; returns
#: columns of shape (B,), or (B, R) where a point leaves R rows.
Measure = Callable[..., Mapping[str, Tensor]]
#: Settings that choose a rule rather than scale it: one value a run.
CHOICES = ("p", "rank_tolerance")


@dataclass(frozen=True)
class Runs:
    """What is measured at the points of a grid: runs of one rule on one problem.

    A setting goes to whoever takes it by that name, "seed" to both. The step size at step t is
    "step_size" / (t + 1)^"decay".

    Args:
        rule: a role.
        problem: the name of a function in `limitpoint.problems`.
        steps: of each run.
        measure: see `Measure`.
        record: the steps that are kept; by default a log-spaced grid.
        fixed: settings that all points have.
        integrals: functions (problem, w), summed along the run; see `limitpoint.run`.

    Raises:
        UsageError: no such role or problem, or it lacks a setting.
    """

    rule: str
    problem: str
    steps: int
    measure: Measure
    record: Sequence[int] | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    integrals: Mapping[str, Callable[[Problem, Tensor], Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind, name, known in (
            ("role", self.rule, ROLES),
            ("problem", self.problem, problems.__all__),
        ):
            if name not in known:
                raise UsageError(f"unknown {kind} {name!r}{meant(name, known)}")

    @cached_property
    def _made_by(self) -> tuple[Mapping[str, Parameter], Mapping[str, Parameter]]:
        schedule = {"decay": signature(StepSize).parameters["decay"]}
        rule = {**signature(ROLES[self.rule]).parameters, **schedule}
        problem = dict(signature(getattr(problems, self.problem)).parameters)
        return {n: p for n, p in rule.items() if p.kind is not Parameter.VAR_KEYWORD}, problem

    def takes(self, name: str) -> bool:
        """Whether it is a setting of the rule or of the problem."""
        return any(name in takes for takes in self._made_by)

    def check(self, axes: Iterable[str]) -> None:
        """Raise UsageError unless every axis is a setting, and no other one is needed."""
        rule, problem = self._made_by
        given = {*axes, *self.fixed}
        for name in given:
            if not self.takes(name):
                known = ", ".join(dict.fromkeys([*rule, *problem]))
                raise UsageError(
                    f"{self.rule} on {self.problem} has no setting {name!r}"
                    f"{meant(name, [*rule, *problem])}; settings: {known}"
                )
        for name, parameter in problem.items():
            if parameter.default is Parameter.empty and name not in given:
                raise UsageError(f"the problem {self.problem} needs {name}: give it a value")

    def __call__(self, settings: Settings) -> Columns:
        """Measure a batch of points, in as few runs as there are shapes and choices."""
        points = [
            dict(zip(settings, values, strict=True))
            for values in zip(*settings.values(), strict=True)
        ]
        made: dict[Hashable, Problem] = {}
        together: dict[Hashable, list[int]] = defaultdict(list)
        for place, point in enumerate(points):
            key = tuple(self._of_the_problem(point).items())
            if key not in made:
                made[key] = self._made(dict(key))
            alike = made[key]
            form = (alike.X.shape, alike.start.shape, alike.model, alike.loss)
            together[form, tuple(self._choices(point).items())].append(place)
        found: dict[str, np.ndarray] = {}
        for places in together.values():
            chosen = [points[place] for place in places]
            batch = stack([made[tuple(self._of_the_problem(p).items())] for p in chosen])
            for name, column in self._measured(batch, chosen).items():
                rows = column.double().reshape(len(places), -1).numpy()
                found.setdefault(name, np.empty((len(points), rows.shape[1])))[places] = rows
        return found

    def _measured(self, problem: Problem, points: Sequence[Mapping[str, float]]) -> Any:
        axes = {
            name: torch.tensor([p[name] for p in points], dtype=torch.float64) for name in points[0]
        }
        integrals = {name: partial(f, problem) for name, f in self.integrals.items()}
        rule = self._rule(axes, self._choices(points[0]), problem.ndim)
        path: Trajectory = run(problem, rule, self.steps, record=self.record, integrals=integrals)
        return self.measure(problem, path, **axes)

    def _rule(self, axes: Mapping[str, Tensor], choices: Mapping[str, Any], ndim: int) -> Rule:
        takes = self._made_by[0]
        scaled = {n: v.reshape(-1, *[1] * ndim) for n, v in axes.items() if n in takes}
        fixed = {n: v for n, v in self.fixed.items() if n in takes}
        given = {"step_size": 1.0, "decay": 0.0, **fixed, **scaled, **choices}
        schedule = StepSize(given.pop("step_size"), given.pop("decay"))
        return ROLES[self.rule](step_size=schedule, **given)

    def _choices(self, point: Mapping[str, float]) -> dict[str, Any]:
        takes = self._made_by[0]
        return {
            name: as_usual(takes[name].default, value)
            for name, value in point.items()
            if name in takes and not _scales(takes[name])
        }

    def _of_the_problem(self, point: Mapping[str, float]) -> dict[str, Any]:
        takes = self._made_by[1]
        return {
            name: as_usual(takes[name].default, v) for name, v in point.items() if name in takes
        }

    def _made(self, settings: Mapping[str, Any]) -> Problem:
        fixed = {name: value for name, value in self.fixed.items() if name in self._made_by[1]}
        found = getattr(problems, self.problem)(**{**fixed, **settings})
        if not isinstance(found, Problem):
            raise UsageError(f"{self.problem} makes no problem of data, model and loss")
        return found


def _scales(parameter: Parameter) -> bool:
    """Whether a tensor of values, one a problem, does for a setting of a rule."""
    if parameter.name in ("step_size", "rho"):  # schedules, or numbers
        return True
    return isinstance(parameter.default, float) and parameter.name not in CHOICES


def as_usual(usual: object, value: float) -> Any:
    """A value as a setting wants it, told by what it usually is."""
    if isinstance(usual, bool):
        return bool(value)
    return value if isinstance(usual, float) or not float(value).is_integer() else int(value)
