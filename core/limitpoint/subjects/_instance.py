"""One torch optimizer with its one parameter."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any

import torch
from torch import Tensor

from limitpoint.errors import Inconclusive, SubjectFailed
from limitpoint.subjects._guards import SubjectRaised, blamed
from limitpoint.subjects._plain import PlainOracle

PATIENCE = 10
SMALLEST_ROOT = torch.finfo(torch.float64).tiny ** 0.5


class Instance:
    """One optimizer and its one parameter.

    Args:
        constructor: ([parameter], **kwargs) -> optimizer.
        kwargs: its arguments.
        w: the start, float64.
        as_matrix: present the parameter as (1, d) or (first, rest).
        closure: hand a closure to `step`, even where it may be left out.
    """

    def __init__(
        self,
        constructor: Callable[..., Any],
        kwargs: Mapping[str, Any],
        w: Tensor,
        *,
        as_matrix: bool = False,
        closure: bool = False,
    ) -> None:
        shown = w.reshape(1, -1) if w.ndim < 2 else w.flatten(1)
        self.shape = w.shape
        self.parameter = torch.nn.Parameter((shown if as_matrix else w).clone())
        self.kind = _kind(self.parameter)
        self.where = "in its constructor"
        with blamed(self.where):
            self.optimizer = constructor([self.parameter], **kwargs)
            # The ratios between groups are the subject's; the schedule is the theorem's.
            self.ratios = _ratios(self.groups())
        self.iterate()
        phases = (getattr(self.optimizer, name, None) for name in ("first_step", "second_step"))
        self.two_phase = all(map(callable, phases))
        if not self.two_phase and not callable(getattr(self.optimizer, "step", None)):
            kind = type(self.optimizer).__name__
            raise SubjectFailed(f"made a {kind}, which has no step(): not an optimizer")
        self.needs_closure = not self.two_phase and _takes_closure(
            self.optimizer.step, optional=closure
        )
        self.idle: int | None = 0

    def groups(self) -> list[dict[str, Any]]:
        """The parameter groups with an "lr", those of a wrapped optimizer included."""
        wrapped = getattr(self.optimizer, "base_optimizer", None)
        found = [
            group
            for owner in (self.optimizer, wrapped)
            for group in getattr(owner, "param_groups", ())
        ]
        return [group for group in {id(g): g for g in found}.values() if "lr" in group]

    def iterate(self) -> Tensor:
        """The parameter's value, in the problem's own shape; SubjectFailed if it lost its kind."""
        kept = zip(("dtype", "device", "shape"), self.kind, _kind(self.parameter), strict=True)
        for what, old, new in kept:
            if old != new:
                change = f"from {old} to {new} {self.where}".replace("torch.", "")
                raise SubjectFailed(f"changed its parameter's {what} {change}")
        return self.parameter.detach().clone().reshape(self.shape)

    def play(self, around: PlainOracle, k: int, eta: float) -> None:
        """One step of size eta from the iterate of batch element k."""
        self.where = f"at step {around.t}"
        with torch.no_grad():
            self.parameter.copy_(around.row(k).reshape(self.parameter.shape))
        self._hand_over(around, k)
        with blamed(self.where):
            rates = [(group, eta * self.ratios.get(id(group), 1.0)) for group in self.groups()]
            for group, rate in rates:
                group["lr"] = rate
            if self.two_phase:
                self._two_steps(around, k)
            elif self.needs_closure:
                self.optimizer.step(lambda: self._closure(around, k))
            else:
                self.optimizer.step()
            # What it does to its own lr is part of it, and goes with the theorem's schedule.
            for group, rate in rates:
                if group["lr"] != rate and eta != 0:
                    self.ratios[id(group)] = float(group["lr"]) / eta

    def _hand_over(self, around: PlainOracle, k: int) -> None:
        gradient = around.gradient(k, self.iterate())
        self.parameter.grad = gradient.reshape(self.parameter.shape).clone()

    def _closure(self, around: PlainOracle, k: int) -> Tensor:
        self._hand_over(around, k)
        return around.value(k, self.iterate())

    def _two_steps(self, around: PlainOracle, k: int) -> None:
        _phase(self.optimizer.first_step)
        self._hand_over(around, k)
        _phase(self.optimizer.second_step)

    def check_finite(self, gradient: Tensor) -> None:
        """Raise SubjectFailed unless the parameter is finite.

        Where the gradient's square is below float64's range, m / sqrt(v) is so in any
        implementation: that is Inconclusive.
        """
        if bool(torch.isfinite(self.parameter).all()):
            return
        kind = "NaN" if bool(torch.isnan(self.parameter).any()) else "infinite"
        happened = f"its iterate became {kind} {self.where}"
        if bool(((gradient != 0) & (gradient.abs() < SMALLEST_ROOT)).any()):
            raise Inconclusive(
                f"precision ran out: {happened}, with a gradient whose square is below "
                "float64's range"
            )
        raise SubjectFailed(happened)

    def check_moving(self, before: Tensor, gradient: Tensor, eta: float) -> None:
        """Raise SubjectFailed at the tenth step if there was no movement yet.

        Only steps count on which plain gradient descent would have moved: at a minimum, to
        rounding, nobody has to.
        """
        if self.idle is None:
            return
        if not torch.equal(self.iterate(), before):
            self.idle = None
            return
        self.idle += not torch.equal(before - eta * gradient, before)
        if self.idle == PATIENCE:
            raise SubjectFailed(f"did not move in its first {PATIENCE} steps")


def instance(constructor: Callable[..., Any], kwargs: Mapping[str, Any], w: Tensor) -> Instance:
    """An instance with the parameter as it is, or as a matrix if the class takes only that."""
    try:
        return Instance(constructor, kwargs, w)
    except SubjectRaised:
        if w.ndim == 2:
            raise
        try:
            return Instance(constructor, kwargs, w, as_matrix=True)
        except SubjectRaised:
            pass
        raise


def plays(one: Instance, around: PlainOracle, k: int, eta: float) -> bool:
    """Whether its step goes through."""
    try:
        one.play(around, k, eta)
    except SubjectRaised:
        return False
    return True


def _kind(parameter: Tensor) -> tuple[object, object, object]:
    return parameter.dtype, parameter.device, tuple(parameter.shape)


def _phase(method: Callable[..., Any]) -> None:
    method(zero_grad=True) if "zero_grad" in _parameters(method) else method()


def _takes_closure(step: Callable[..., Any], *, optional: bool) -> bool:
    """Whether a closure is required; or, if optional, can be given at all."""
    closure = _parameters(step).get("closure")
    return closure is not None and (optional or closure.default is Parameter.empty)


def _parameters(method: Callable[..., Any]) -> Mapping[str, Parameter]:
    try:
        return inspect.signature(method).parameters
    except (TypeError, ValueError):
        return {}


def _ratios(groups: list[dict[str, Any]]) -> dict[int, float]:
    """Each group's lr over the first one's."""
    first = float(groups[0]["lr"] or 0) if groups else 0.0
    return {id(g): float(g["lr"] or 0) / first if first else 1.0 for g in groups}
