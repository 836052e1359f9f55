"""A subject, and how the command line names one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from limitpoint.errors import (
    Inconclusive,
    NotApplicable,
    SubjectFailed,
    UsageError,
    meant,
    readable,
)
from limitpoint.optimizers import Rule
from limitpoint.optimizers.roles import ROLES
from limitpoint.optimizers.schedules import Schedule, StepSize, as_schedule
from limitpoint.problems.problem import Objective, Oracle
from limitpoint.subjects._guards import blamed
from limitpoint.subjects._limits import UNLIMITED, Limits
from limitpoint.subjects._optax import Transformation, makes_transformation
from limitpoint.subjects._rule import guarded
from limitpoint.subjects._signature import Accepted, field_names, makes_rule
from limitpoint.subjects._spec import FORM, load, parse_options, split
from limitpoint.subjects._torch import TorchOptimizer
from limitpoint.subjects._worker import told_apart

#: What is tried of a class that refuses the theorem's epsilon = 0.
EPSILONS = (0.0, 1e-300, 1e-150, 1e-30, 1e-16, 1e-12, 1e-8)

#: What a class has by default and a theorem has not; and what a role's rule has not either.
OFF: Mapping[str, float] = {"weight_decay": 0.0}
OFF_IN: Mapping[str, Mapping[str, float]] = {"ngd": {"epsilon": 0.0}}
#: Roles whose rule asks for the gradients of parts of the data.
PER_EXAMPLE = ("m-sam", "1-sam")


@dataclass(frozen=True)
class Subject:
    """Somebody else's optimizer in a role.

    Args:
        role: whose place it takes, such as "adam".
        target: "module:attribute".
        kwargs: the user's own arguments; they win over a claim's settings.
        spec: the text that names it on the command line.
        constructor: a `torch.optim.Optimizer` class or any callable (params, **kwargs) that returns
            an object with `.step()`; one (learning_rate, **kwargs) that returns a gradient
            transformation of optax's kind; or a `Rule` class or a callable that returns a rule.
        limits: what it may take in one run.
    """

    role: str
    target: str
    kwargs: Mapping[str, Any] = field(hash=False)
    spec: str
    constructor: Callable[..., Any] = field(repr=False)
    limits: Limits = UNLIMITED

    def __post_init__(self) -> None:
        if not callable(self.constructor):
            raise UsageError(f"{self.target} cannot be called: name a class or a function")
        if makes_transformation(self.constructor):
            made = Transformation(self.constructor)
            object.__setattr__(self, "constructor", made)
            object.__setattr__(self, "kwargs", made.field_names(self.kwargs))
        takes = self._accepted
        unknown = takes.unknown(self.kwargs)
        if unknown:
            names = ", ".join(takes.defaults) or "none"
            near = meant(unknown[0], takes.defaults)
            raise UsageError(
                f"{self.target} takes no argument {unknown[0]!r}{near}; it takes: {names}"
            )
        self._check_own_step_size()

    @classmethod
    def from_object(
        cls, role: str, obj: Any, limits: Limits = UNLIMITED, /, **kwargs: Any
    ) -> Subject:
        """A subject made in Python; a `functools.partial`'s keywords count as the user's own."""
        while isinstance(obj, partial) and not obj.args:
            obj, kwargs = obj.func, {**obj.keywords, **kwargs}
        name = getattr(obj, "__qualname__", type(obj).__qualname__)
        target = f"{getattr(obj, '__module__', type(obj).__module__)}:{name}"
        options = [f"{key}={_shown(value)}" for key, value in kwargs.items()]
        spec = ",".join([f"{role}={target}", *options])
        return cls(role, target, kwargs, spec, obj, limits)

    @classmethod
    def from_target(cls, role: str, text: str, limits: Limits = UNLIMITED) -> Subject:
        """A subject from "MODULE:ATTR[,key=value...]".

        Raises:
            UsageError: anything in the text is not as it should be.
        """
        target, *options = split(text)
        constructor, kwargs = load(target.strip()), parse_options(options)
        if isinstance(kwargs.get("base_optimizer"), str):
            kwargs["base_optimizer"] = load(kwargs["base_optimizer"])
        return cls(role, target.strip(), kwargs, f"{role}={text}", constructor, limits)

    def rule(self, step_size: Schedule | Tensor | float = 1.0, **settings: Any) -> Rule:
        """The subject as a rule, with a claim's settings where it takes them, within its limits.

        Args:
            step_size: the claim's schedule; a step size of the user's own replaces its eta_0.
            settings: by limitpoint's names: beta1, epsilon, rho, momentum, weight_decay, ... A
                torch class's weight decay is off unless the claim or the user sets it, and so is an
                eps in the role ngd.

        Raises:
            SubjectFailed: a rule's constructor raised (a torch optimizer is built in the run).
            NotApplicable: groups of m examples, which a torch optimizer does not see.
        """
        schedule = self._schedule(as_schedule(step_size))
        if self._is_rule:
            return guarded(self._own_rule(schedule, settings), self.limits)
        if settings.get("m") is not None or self.role in PER_EXAMPLE:
            raise NotApplicable(
                "hypothesis not met: gradients of groups of m examples (a torch optimizer sees "
                "that of its minibatch)"
            )
        given = {**OFF, **OFF_IN.get(self.role, {}), **settings}
        names = {"lr": schedule.at(0), **field_names(given)}
        arguments = {**self._base, **self._accepted.filtered(names), **self.kwargs}
        said = []
        if "eps" not in self.kwargs and _has_zero(arguments.get("eps")):
            least = least_epsilon(self)
            arguments["eps"] = _at_least(arguments["eps"], least)
            said = [f"eps={least:g}, the least it takes, for the theorem's 0"] if least else []
        return TorchOptimizer(
            step_size=schedule,
            constructor=self.constructor,
            kwargs=arguments,
            limits=self.limits,
            target=self.target,
            said=said,
        )

    def _own_rule(self, schedule: Schedule, settings: dict[str, Any]) -> Rule:
        takes = self._accepted
        chosen = settings if takes.anything else takes.filtered(settings)
        arguments = {**chosen, **self.kwargs, "step_size": schedule}
        with blamed("in its constructor"):
            rule = self.constructor(**arguments)
        if not isinstance(rule, Rule):
            raise SubjectFailed(f"{self.target} made a {type(rule).__name__}, not a Rule")
        return rule

    @property
    def _is_rule(self) -> bool:
        return makes_rule(self.constructor)

    @property
    def _base(self) -> dict[str, Any]:
        """SAM implementations wrap an optimizer: plain gradient descent unless the user says."""
        takes = Accepted.by(self.constructor, skip=1)
        return {"base_optimizer": torch.optim.SGD} if "base_optimizer" in takes.required() else {}

    @property
    def _accepted(self) -> Accepted:
        if self._is_rule:
            return Accepted.by(self.constructor)
        takes = Accepted.by(self.constructor, skip=1)
        base = self.kwargs.get("base_optimizer", self._base.get("base_optimizer"))
        if takes.anything and callable(base):
            return takes.joined(Accepted.by(base, skip=1))
        return takes

    @property
    def _step_size_key(self) -> str:
        return "step_size" if self._is_rule else "lr"

    def _schedule(self, claimed: Schedule) -> Schedule:
        own = self.kwargs.get(self._step_size_key)
        if isinstance(own, Schedule):
            return own
        return claimed if own is None else claimed.starting_at(own)

    def _check_own_step_size(self) -> None:
        try:
            initial = torch.as_tensor(self._schedule(StepSize(1.0)).at(0))
            valid = bool(torch.isfinite(initial).all())
        except (TypeError, ValueError, RuntimeError):
            valid = False
        if not valid:
            key = self._step_size_key
            shown = f"{key}={self.kwargs[key]!r}"
            raise UsageError(f"{self.target}: {shown} is no step size: give a number > 0")


def _has_zero(epsilon: object) -> bool:
    return isinstance(epsilon, float | Tensor) and not bool(torch.as_tensor(epsilon).all())


def _at_least(epsilon: float | Tensor, least: float) -> float | Tensor:
    return epsilon.clamp(min=least) if isinstance(epsilon, Tensor) else max(epsilon, least)


@lru_cache(maxsize=64)
def least_epsilon(subject: Subject) -> float:
    """The least of `EPSILONS` with which a torch optimizer can be made; 0 if that is not it."""

    def least() -> float:
        for epsilon in EPSILONS:
            rule = TorchOptimizer(
                constructor=subject.constructor,
                kwargs={**subject._base, **subject.kwargs, "eps": epsilon},
            )
            try:
                rule.init(_flat(), torch.ones(2, 2, dtype=torch.float64))
            except (SubjectFailed, Inconclusive):
                continue
            return epsilon
        return 0.0

    try:
        return told_apart(least, float, subject.limits)
    except (SubjectFailed, Inconclusive):
        return 0.0


def _flat() -> Oracle:
    return Objective("flat", lambda w: 0 * w.sum(), torch.zeros_like)


def parse_subject(spec: str, limits: Limits = UNLIMITED) -> Subject:
    """The subject of ROLE=MODULE:ATTR[,key=value...].

    Values are Python literals, or plain words, which are strings; within brackets a semicolon is
    as good as a comma.

    Raises:
        UsageError: one line, what was wrong and what would be right.
    """
    role, equals, text = spec.partition("=")
    if not equals or ":" in role or not role.strip():
        raise UsageError(f"{spec!r} names no role: write {FORM}")
    role = role.strip()
    if role not in ROLES:
        known = f"{meant(role, ROLES)}; roles: {', '.join(sorted(ROLES))}"
        raise UsageError(f"{spec!r}: unknown role {role!r}{known}")
    return replace(Subject.from_target(role, text, limits), spec=readable(spec))


def _shown(value: Any) -> str:
    """A value as the command line writes it."""
    if isinstance(value, type):
        return f"{value.__module__}:{value.__qualname__}"
    return repr(value)
