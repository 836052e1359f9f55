"""Any torch optimizer as an update rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from inspect import Parameter
from typing import Any

import torch
from torch import Tensor

from limitpoint.errors import NotApplicable, SubjectFailed
from limitpoint.optimizers import Rule
from limitpoint.problems.problem import Oracle
from limitpoint.subjects._guards import SubjectRaised
from limitpoint.subjects._instance import Instance, instance, plays
from limitpoint.subjects._limits import UNLIMITED, Limits
from limitpoint.subjects._meter import Meter
from limitpoint.subjects._plain import PlainOracle, entries, rows
from limitpoint.subjects._signature import Accepted, own_names


@dataclass(frozen=True, eq=False)
class TorchOptimizer(Rule):
    """An optimizer of the field as a rule: one parameter and one optimizer per batch element.

    Classes with `step()`, with `step(closure)`, and with the two phases `first_step` and
    `second_step` of SAM. A class that refuses a parameter which is no matrix is given it as one:
    (1, d), or (first, rest); and one whose first step fails without a closure is given that.

    Args:
        step_size: set as the groups' "lr" before each step.
        constructor: (params, **kwargs) -> optimizer.
        kwargs: its arguments; a tensor that broadcasts over the batch is given entry by entry.
        log_loss_scale: the gradients handed over are exp(log_loss_scale) times the true ones.
        limits: what it may take from `init` on.
        target: what the ledger calls it.
    """

    constructor: Callable[..., Any] = torch.optim.SGD
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    log_loss_scale: float = 0.0
    limits: Limits = UNLIMITED
    target: str = ""

    @property
    def name(self) -> str:
        """What the ledger calls it."""
        return self.target or getattr(self.constructor, "__name__", type(self).__name__)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What its constructor is given or has by default, by limitpoint's names."""
        given = {**Accepted.by(self.constructor, skip=1).defaults, **self.kwargs}
        return own_names({name: v for name, v in given.items() if v is not Parameter.empty})

    @property
    def precision(self) -> str:
        """Its moments are what torch makes of plain tensors."""
        return "float64"

    def init(self, oracle: Oracle, w: Tensor) -> State:
        """One optimizer for each batch element of w (*batch, *parameter), float64.

        Raises:
            SubjectFailed: an argument is missing, or the constructor raised.
            NotApplicable: the step size has to decay and the optimizer has no groups to say so.
        """
        self._check_required()
        _warm_up()
        meter = Meter(self.limits)
        with meter.bounds("in its constructor"):
            instances = [
                instance(self.constructor, self._arguments(k, oracle, w), row)
                for k, row in enumerate(rows(w, oracle.ndim))
            ]
        if not self.step_size.is_constant and not all(one.groups() for one in instances):
            raise NotApplicable(
                "hypothesis not met: a decaying step size (the subject has no param_groups "
                'with an "lr" to set)'
            )
        return State(instances, meter)

    def step(self, oracle: Oracle, w: Tensor, state: State, t: int) -> tuple[Tensor, State]:
        """One step of every optimizer from w; see `Rule.step`.

        Raises:
            SubjectFailed: it raised, left the numbers, changed its parameter's kind, did not move
                or took too much time or memory.
            Inconclusive: the gradient to hand over is beyond float64's range, or its square is and
                the iterate left the numbers.
        """
        around = PlainOracle(oracle.batch(t), w, self.log_loss_scale, t)
        etas = entries(self.step_size.at(t), w, oracle.ndim)
        with state.meter.bounds(f"at step {t}"):
            for k, eta in enumerate(etas):
                self._advance(state, k, around, eta)
        iterates = [one.iterate() for one in state.instances]
        return torch.stack(iterates).reshape(w.shape), state

    def _advance(self, state: State, k: int, around: PlainOracle, eta: float) -> None:
        """Step one instance; a first step that fails is tried in other ways."""
        one, row = state.instances[k], around.row(k)
        try:
            one.play(around, k, eta)
        except SubjectRaised:
            other = None if around.t else self._second_try(around, k, eta)
            if other is None:
                raise
            state.instances[k] = one = other
        one.iterate()
        gradient = around.gradient(k, row)
        one.check_finite(gradient)
        one.check_moving(row, gradient, eta)

    def _second_try(self, around: PlainOracle, k: int, eta: float) -> Instance | None:
        """The first instance that can take the step, as a matrix, with a closure, or both."""
        arguments, row = self._arguments(k, around.oracle, around.w), around.row(k)
        for as_matrix, closure in ((True, False), (False, True), (True, True)):
            try:
                one = Instance(
                    self.constructor, arguments, row, as_matrix=as_matrix, closure=closure
                )
            except SubjectFailed:
                continue
            if plays(one, around, k, eta):
                return one
        return None

    def _arguments(self, k: int, oracle: Oracle, w: Tensor) -> dict[str, Any]:
        return {
            name: entries(value, w, oracle.ndim)[k] if _batched(value) else value
            for name, value in self.kwargs.items()
        }

    def _check_required(self) -> None:
        required = Accepted.by(self.constructor, skip=1).required()
        missing = [name for name in required if name not in self.kwargs]
        if missing:
            raise SubjectFailed(
                f"{self.name} needs the argument {missing[0]!r}: give it as {missing[0]}=..."
            )


@dataclass
class State:
    """The optimizers at work, which carry their own state, and what the run may still take."""

    instances: list[Instance]
    meter: Meter


@cache
def _warm_up() -> None:
    """A process's first torch optimizer imports for a second: none of the subject's time."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    parameter.grad = torch.zeros(1)
    torch.optim.SGD([parameter]).step()


def _batched(value: Any) -> bool:
    return isinstance(value, Tensor) and value.numel() > 1
