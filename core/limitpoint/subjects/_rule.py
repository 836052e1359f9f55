"""Somebody else's update rule, guarded: whatever it does is a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from limitpoint.errors import SubjectFailed
from limitpoint.numerics import Scaled, Value, tensor
from limitpoint.optimizers import GD, Memoryless, Rule
from limitpoint.optimizers.rule import Arrays
from limitpoint.problems.problem import Oracle
from limitpoint.subjects._guards import blamed
from limitpoint.subjects._instance import PATIENCE
from limitpoint.subjects._limits import UNLIMITED, Limits
from limitpoint.subjects._pulse import DIRECTION, PULSE, STARTING
from limitpoint.subjects._worker import apart


@dataclass(frozen=True, eq=False)
class GuardedRule(Rule):
    """A rule around a foreign one, which may raise, loop, leave its shape or do nothing.

    Args:
        step_size: the foreign rule's own.
        rule: the foreign rule.
        limits: what it may take in one run.
    """

    rule: Rule = field(default_factory=GD)
    limits: Limits = UNLIMITED
    _idle: int | None = field(init=False, repr=False, default=0)

    @property
    def name(self) -> str:
        """What the ledger calls it."""
        return self.rule.name

    @property
    def settings(self) -> Mapping[str, Any]:
        """The foreign rule's: the guard has none."""
        return self.rule.settings

    @property
    def is_foreign(self) -> bool:
        """It is."""
        return True

    def apart(
        self,
        work: Callable[[], Arrays],
        oracle: Oracle,
        start: Tensor,
        watch: Callable[[int], None] | None = None,
    ) -> Arrays:
        """See `Rule.apart`."""
        return apart(work, self.limits, watch=watch)

    def init(self, oracle: Oracle, w: Tensor) -> Any:
        """The foreign rule's state.

        Raises:
            SubjectFailed: it raised.
        """
        # Rules are frozen; the count is of one run.
        object.__setattr__(self, "_idle", 0)
        PULSE.tell(STARTING)
        with blamed("before its first step"):
            return self.rule.init(oracle, w)

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        """The foreign rule's step.

        Raises:
            SubjectFailed: it raised, returned no iterate or did not move.
        """
        where = f"at step {t}"
        before = w.clone()
        PULSE.tell(t)
        with blamed(where):
            found: object = self.rule.step(oracle, w, state, t)
        if not isinstance(found, tuple) or len(found) != 2:
            kind = type(found).__name__
            raise SubjectFailed(f"returned a {kind} {where}, not the pair of iterate and state")
        moved, state = found
        _check_like(before, moved, f"its iterate {where}")
        self._check_moving(oracle, before, moved, t)
        return moved, state

    def _check_moving(self, oracle: Oracle, before: Tensor, after: Tensor, t: int) -> None:
        """Raise SubjectFailed at the tenth step on which it should have moved, and did not once."""
        if self._idle is None:
            return
        idle = None
        if torch.equal(before, after):
            descended = before - tensor(self.step_size.at(t) * oracle.grad(before))
            idle = self._idle + (not torch.equal(descended, before))
        object.__setattr__(self, "_idle", idle)
        if idle == PATIENCE:
            raise SubjectFailed(f"did not move in its first {PATIENCE} steps")


class GuardedField(GuardedRule, Memoryless):
    """The same of a memoryless rule: it has a flow."""

    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        """The foreign rule's direction.

        Raises:
            SubjectFailed: it raised, or returned no direction.
        """
        assert isinstance(self.rule, Memoryless)
        PULSE.tell(DIRECTION)
        with blamed("in its direction"):
            found = self.rule.direction(oracle, w)
        _check_like(w, found.mantissa if isinstance(found, Scaled) else found, "its direction")
        return found


def guarded(rule: Rule, limits: Limits) -> Rule:
    """A rule as it is if it is limitpoint's own, else guarded.

    One with a step of its own may have a memory, whatever direction it inherits: it has no flow.
    """
    if _of_limitpoint(type(rule)):
        return rule
    inherits = isinstance(rule, Memoryless) and _of_limitpoint(type(rule).step)
    kind = GuardedField if inherits else GuardedRule
    return kind(rule.step_size, rule, limits)


def _of_limitpoint(thing: object) -> bool:
    return str(thing.__module__).partition(".")[0] == "limitpoint"


def _check_like(w: Tensor, found: object, what: str) -> None:
    if not isinstance(found, Tensor):
        raise SubjectFailed(f"{what} is a {type(found).__name__}, not a tensor")
    for name, wanted, got in (
        ("dtype", w.dtype, found.dtype),
        ("device", w.device, found.device),
        ("shape", tuple(w.shape), tuple(found.shape)),
    ):
        if wanted != got:
            raise SubjectFailed(f"{what} has {name} {got}, not {wanted}".replace("torch.", ""))
