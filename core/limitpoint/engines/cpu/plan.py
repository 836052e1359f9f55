"""What it takes to run a rule on a problem in compiled loops, or why that is not to be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limitpoint.engines.cpu.pack import (
    EVERY,
    Floats,
    Integers,
    NotCovered,
    per_problem,
    spread,
)
from limitpoint.engines.cpu.registry import INTEGRANDS, MODELS, IntegrandUnit, ModelUnits
from limitpoint.engines.trace import (
    Case,
    NotTraceable,
    TracedLoss,
    TracedRule,
    trace_loss,
    trace_rule,
)
from limitpoint.optimizers import Rule
from limitpoint.optimizers.schedules import Schedule
from limitpoint.optimizers.stochastic import Stochastic
from limitpoint.problems.losses import FiniteRootLoss, Loss, MarginLoss, MulticlassLoss
from limitpoint.problems.problem import Oracle, Problem


@dataclass(frozen=True)
class Plan:
    """A run that a compiled engine does.

    Args:
        problem: data, model and loss.
        rule: the update rule.
        start: w_0, shape (*batch, *parameter).
        integrals: integrands by name.
        state: what the rule keeps before its first step.
        traced: the rule as graphs; that inside a `Stochastic`.
        loss: the loss as graphs.
        is_own: whether limitpoint wrote the rule.
    """

    problem: Problem
    rule: Rule
    start: Tensor
    integrals: Mapping[str, Any]
    state: Any
    traced: TracedRule
    loss: TracedLoss
    is_own: bool

    @property
    def ndim(self) -> int:
        """Dimensions of a parameter."""
        return self.problem.ndim

    @cached_property
    def batch(self) -> torch.Size:
        """The batch's shape."""
        return self.start.shape[: self.start.ndim - self.ndim]

    @cached_property
    def count(self) -> int:
        """Number of problems."""
        return self.batch.numel()

    @cached_property
    def rows(self) -> int:
        """Rows of a parameter."""
        return self.start.shape[-2] if self.ndim == 2 else 1

    @property
    def d(self) -> int:
        """Columns of a parameter."""
        return self.start.shape[-1]

    @property
    def classes(self) -> int:
        """Numbers that a prediction has."""
        return self.rows if self.model.transposed else 1

    @cached_property
    def model(self) -> ModelUnits:
        """The model's units."""
        return MODELS[type(self.problem.model)]

    @cached_property
    def stochastic(self) -> Stochastic | None:
        """The rule around the one that is traced, which draws examples."""
        return self.rule if isinstance(self.rule, Stochastic) else None

    @property
    def seen(self) -> int:
        """Examples that a step sees."""
        return 1 if self.stochastic else self.problem.n

    @cached_property
    def settings(self) -> Floats:
        """The numbers of the rule, shape (B, settings)."""
        columns = [self._per_problem("a setting", number) for number in self.traced.graph.settings]
        return np.stack(columns, axis=1) if columns else np.zeros((self.count, 1))

    @cached_property
    def loss_settings(self) -> Floats:
        """The numbers of the loss."""
        return np.array([*self.loss.graph.settings, 0.0])

    def numbers(self, schedule: Schedule, begin: int, end: int) -> Floats:
        """A schedule's numbers at the steps begin..end, shape (T or 1, B or 1)."""
        if not schedule.is_constant:
            return self._table(schedule.table(begin, end))
        if id(schedule) not in self._constants:
            self._constants[id(schedule)] = self._table(schedule.table(0, 1))
        return self._constants[id(schedule)]

    def tables(self, begin: int, end: int) -> Floats:
        """The schedules that the rule asks for, shape (K, T + ahead, B or 1)."""
        traced = self.traced
        upto = end + traced.ahead
        tables = [self.numbers(schedule, begin, upto) for schedule in traced.schedules]
        width = max([table.shape[1] for table in tables], default=1)
        shape = (upto - begin, width)
        if not tables:
            return np.zeros((0, 1, 1))
        return np.stack([np.ascontiguousarray(np.broadcast_to(t, shape)) for t in tables])

    @cached_property
    def _constants(self) -> dict[int, Floats]:
        return {}

    def _table(self, table: Tensor) -> Floats:
        if table[0].numel() == 1:
            return table.reshape(-1, 1).to(torch.float64).numpy().copy()
        return np.stack([self._per_problem("a step size", row) for row in table])

    def _per_problem(self, name: str, value: float | Tensor) -> Floats:
        return per_problem(name, value, self.batch, self.ndim)

    @cached_property
    def integrands(self) -> list[tuple[IntegrandUnit, Any]]:
        """The integrands' units and themselves."""
        return [(INTEGRANDS[type(f)], f) for f in self.integrals.values()]

    @cached_property
    def totals(self) -> dict[str, torch.Size]:
        """Shape of each integral, as the torch engine would have it; "step_size" comes first."""
        eta = self.rule.step_size.table(0, 1)[0]
        shapes = {"step_size": eta.shape}
        for name, f in self.integrals.items():
            value = f(self.start)
            fitted = eta.reshape(eta.shape[: value.ndim]) if eta.ndim > value.ndim else eta
            shapes[name] = (fitted * value).shape
        return shapes

    def stream(self) -> np.random.Generator | None:
        """The stream of examples, from its start; None for a rule that sees all."""
        if self.stochastic is None:
            return None
        return np.random.Generator(np.random.PCG64(self.stochastic.seed))

    def draws(
        self, stream: np.random.Generator | None, steps: int, part: slice = EVERY
    ) -> Integers:
        """The examples of the next steps, shape (steps, B); empty for a rule that sees all."""
        if stream is None:
            return np.zeros((0, 0), dtype=np.int64)
        own = self.problem.y.shape[:-1]
        drawn = torch.from_numpy(stream.integers(self.problem.n, size=(steps, *own)))
        shared = drawn.broadcast_to(steps, *self.batch).reshape(steps, -1)
        return np.ascontiguousarray(shared.numpy()[:, part])

    def step_sizes(self, sums: Tensor) -> Tensor:
        """S (records, *batch) with the dimensions of the step size, as far as it differs."""
        shape = self.totals["step_size"]
        whole = (*[1] * (self.start.ndim - len(shape)), *shape)
        for dim in range(len(self.batch)):
            if whole[dim] == 1:
                sums = sums.narrow(dim + 1, 0, 1)
        return sums.reshape(len(sums), *shape).clone()


def plan(
    oracle: Oracle,
    rule: Rule,
    start: Tensor,
    integrals: Mapping[str, Any],
    *,
    state: Any = None,
) -> Plan:
    """What it takes to run this compiled; everything given is on the CPU.

    Args:
        oracle, rule, start, integrals: see `limitpoint.run`.
        state: what the rule keeps, if the run begins in the middle.

    Raises:
        NotCovered: there is no compiled form of it; says why.
    """
    if type(oracle) is not Problem:
        raise NotCovered(f"{type(oracle).__name__} instead of a Problem")
    stochastic = type(rule) is Stochastic
    inner = rule.rule if isinstance(rule, Stochastic) and stochastic else rule
    if stochastic and not oracle.loss.mean:
        raise NotCovered("a stochastic step on a loss that is no mean")
    if type(oracle.model) not in MODELS:
        raise NotCovered(f"the model {type(oracle.model).__name__}")
    for f in integrals.values():
        if type(f) not in INTEGRANDS:
            raise NotCovered(f"the integrand {type(f).__name__}")
    _check_shapes(oracle, start)
    _check_methods(oracle.loss)
    try:
        loss = trace_loss(oracle.loss)
    except NotTraceable as why:
        raise NotCovered(f"the loss {type(oracle.loss).__name__} ({why})") from None
    try:
        before = inner.init(oracle, start)
        case = Case(inner, oracle, start, before, loss.scaled, stochastic)
        traced = trace_rule(case)
    except NotTraceable as why:
        raise NotCovered(f"the rule {type(inner).__name__} ({why})") from None
    kept = before if state is None else state
    found = Plan(oracle, rule, start, integrals, kept, traced, loss, case.is_own)
    _check(found)
    return found


def _check_shapes(problem: Problem, start: Tensor) -> None:
    if {problem.X.dtype, start.dtype} != {torch.float64}:
        raise NotCovered("data or a start that is not float64")
    if start.ndim < problem.ndim or problem.n == 0 or start.numel() == 0:
        raise NotCovered(f"a start of shape {tuple(start.shape)}")


def _check_methods(loss: Loss) -> None:
    """Raise NotCovered where a loss does by itself what its functions are traced for."""
    for base in (MulticlassLoss, MarginLoss, FiniteRootLoss):
        if isinstance(loss, base):
            for name in ("slope", "values", "log_values"):
                if getattr(type(loss), name) is not getattr(base, name):
                    raise NotCovered(f"the loss {type(loss).__name__} with a {name} of its own")


def _check(found: Plan) -> None:
    """Raise NotCovered where shapes or settings are beyond the kernels."""
    problem = found.problem
    for unit, f in found.integrands:
        if not unit.fits(f, problem):
            raise NotCovered(f"the integrand {type(f).__name__} of another problem")
    for name in found.integrals:
        if found.totals[name][: len(found.batch)] != found.batch:
            raise NotCovered(f"the integral {name} of shape {tuple(found.totals[name])}")
    # What does not broadcast over the batch raises NotCovered by itself.
    spread("data", problem.X.shape[:-2], found.batch)
    spread("targets", problem.y.shape[:-1], found.batch)
    _ = found.settings
    for schedule in (found.rule.step_size, *found.traced.schedules):
        found.numbers(schedule, 0, 1)
