"""Tracing a rule: its `step` is run once with symbols, and what it did is a graph."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, fields, is_dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from limitpoint.engines.trace.graph import (
    BOOL,
    PLAIN,
    SCALED,
    Graph,
    Node,
    NotTraceable,
    fingerprint,
)
from limitpoint.engines.trace.oracle import SymbolicExample, SymbolicProblem
from limitpoint.engines.trace.state import Leaf, form, leaves, replaced
from limitpoint.engines.trace.symbols import AT_FIRST, Frame, Symbol, SymbolicScaled
from limitpoint.numerics import Scaled
from limitpoint.optimizers import Rule
from limitpoint.optimizers.schedules import Schedule
from limitpoint.problems.problem import Problem


@dataclass(frozen=True)
class Step:
    """The graph of a step.

    Args:
        w: the iterate after it.
        state: what is kept, in the order of the leaves.
    """

    w: Node
    state: tuple[Node, ...]

    @property
    def outputs(self) -> list[Node]:
        """All that it computes."""
        return [self.w, *self.state]


@dataclass(frozen=True, eq=False)
class TracedRule:
    """A rule as graphs.

    Args:
        later: the step from t = 1 on, and of t = 0 as well if there is no `first`.
        first: the step at t = 0, where it is another one.
        graph: that they are in; its settings are given to the code.
        schedules: given step by step.
        ahead: how many steps beyond its own a step asks a schedule for.
        kinds: of the values kept, "plain" or "scaled".
    """

    later: Step
    first: Step | None
    graph: Graph
    schedules: list[Schedule]
    ahead: int
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """A rule that is traced, and what its code may depend on.

    Args:
        rule: the rule.
        problem: what it is run on; no more than the form of its data is looked at.
        start: w_0, shape (*batch, *parameter).
        state: what the rule keeps before its first step.
        scaled: whether the problem's gradients are `Scaled`.
        stochastic: whether a step sees one example.
    """

    rule: Rule
    problem: Problem
    start: Tensor
    state: Any
    scaled: bool
    stochastic: bool

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells graphs of one rule apart."""
        problem = self.problem
        shapes = tuple(tuple(getattr(leaf, "shape", ())) for leaf in leaves(self.state))
        numbers = problem.ndim, problem.n, problem.loss.mean, tuple(self.start.shape)
        return (self.scaled, self.stochastic, numbers, form(self.state), shapes)

    @property
    def is_own(self) -> bool:
        """Whether limitpoint wrote the rule."""
        return type(self.rule).__module__.startswith(Rule.__module__.rpartition(".")[0])


#: Graphs of a rule, as long as it is there.
_traced: WeakKeyDictionary[Rule, dict[Any, TracedRule]] = WeakKeyDictionary()


def trace_rule(case: Case) -> TracedRule:
    """Follow one step.

    Raises:
        NotTraceable: the step cannot be followed; says why.
    """
    known = _traced.setdefault(case.rule, {})
    if case.key not in known:
        found = _trace(case)
        # A step that draws random numbers, or counts its calls, is another one the second time.
        if not case.is_own and _code(found) != _code(_trace(case)):
            raise NotTraceable("a step that is not a function of its arguments alone")
        known[case.key] = found
    return known[case.key]


def _code(traced: TracedRule) -> tuple[Any, ...]:
    return fingerprint(traced.later.outputs)


def _trace(case: Case) -> TracedRule:
    tracer = _Tracer(case)
    try:
        later, kept = tracer.step(case.state, least=0)
        if form(kept) == form(case.state):
            return tracer.found(later, None, kept)
    except NotTraceable as why:
        if str(why) != AT_FIRST and case.state is not None:
            raise
    tracer = _Tracer(case)
    first, kept = tracer.step(case.state, least=None)
    later, then = tracer.step(kept, least=1)
    if form(then) != form(kept):
        raise NotTraceable("a state that changes its form")
    return tracer.found(later, first, then)


class _Tracer:
    """One attempt: a graph, and the rule with symbols for its settings."""

    def __init__(self, case: Case) -> None:
        self.case, self.ndim = case, case.problem.ndim
        order = ("g", "r", "c") if self.ndim == 2 else ("g", "c")
        sizes = dict(zip(order[:0:-1], case.start.shape[::-1], strict=False))
        self.graph = Graph()
        self.frame = Frame(self.graph, order, sizes)
        self.schedules: list[Schedule] = []
        self.ahead = 0
        self._numbers: dict[tuple[int, int], Symbol] = {}
        self.rule = self._symbolic(case.rule)

    def found(self, later: Step, first: Step | None, kept: Any) -> TracedRule:
        kinds = tuple(SCALED if isinstance(leaf, Scaled) else PLAIN for leaf in leaves(kept))
        return TracedRule(later, first, self.graph, self.schedules, self.ahead, kinds)

    def step(self, state: Any, *, least: int | None) -> tuple[Step, Any]:
        """The graph of the step t >= least, or of t = 0 alone, and the state after it."""
        names = iter(range(len(leaves(state))))
        before = replaced(state, lambda leaf: self._kept(next(names), leaf))
        t: Any = 0
        if least is not None:
            t = Symbol(self.frame, self.graph.make("t", data=least), ())
        w: Any = self._whole(self.graph.make("w", axes=self._axes))
        case = self.case
        kind = SymbolicExample if case.stochastic else SymbolicProblem
        oracle = kind(self.frame, case.problem, scaled=case.scaled, stochastic=case.stochastic)
        untouched = _parts(self.rule)
        try:
            moved, after = self.rule.step(oracle, w, before, t)
        except NotTraceable:
            raise
        except Exception as exc:
            raise NotTraceable(f"its step, which raised {type(exc).__name__}: {exc}") from exc
        if _parts(self.rule) != untouched:
            raise NotTraceable("a step that changes the rule itself")
        kept = [self._output(leaf) for leaf in leaves(after)]
        for leaf, node in zip(leaves(before), kept, strict=False):
            own = self._output(leaf)
            if not node.axes <= own.axes:
                raise NotTraceable("a state that grows")
        return Step(self._output(moved), tuple(kept)), after

    @property
    def _axes(self) -> frozenset[str]:
        return frozenset(self.frame.order[1:])

    def _whole(self, node: Node) -> Symbol:
        return Symbol(self.frame, node, self.frame.order[1:])

    def _output(self, value: Any) -> Node:
        if isinstance(value, SymbolicScaled):
            return value.symbol.node
        if isinstance(value, int | float):
            return self.graph.number(float(value))
        if not isinstance(value, Symbol):
            raise NotTraceable(f"a step that returns a {type(value).__name__}")
        if value.node.kind == BOOL or "g" in value.node.axes:
            raise NotTraceable("a state with one value for each batch, or with booleans")
        return value.node

    def _kept(self, number: int, leaf: Leaf) -> Any:
        """The symbol of a value that is kept."""
        if isinstance(leaf, SymbolicScaled):
            kind, axes, dims = SCALED, leaf.symbol.node.axes, leaf.symbol.dims
        elif isinstance(leaf, Symbol):
            kind, axes, dims = PLAIN, leaf.node.axes, leaf.dims
        elif isinstance(leaf, int | float):
            kind, axes, dims = PLAIN, frozenset(), ()
        else:
            kind, axes, dims = self._form_of(leaf)
        node = self.graph.make("kept", kind=kind, axes=axes, data=(number, tuple(sorted(axes))))
        symbol = Symbol(self.frame, node, dims)
        return SymbolicScaled(symbol) if kind == SCALED else symbol

    def _form_of(self, leaf: Any) -> tuple[str, frozenset[str], tuple[str, ...]]:
        part = leaf.mantissa if isinstance(leaf, Scaled) else leaf
        dims, own = self.frame.order[1:], part.shape[-self.ndim :]
        if part.ndim < len(dims) or part.dtype != torch.float64:
            raise NotTraceable("a state that has not the form of the iterate")
        whole = own == self.case.start.shape[-self.ndim :]
        if not whole and part[..., 0].numel() != part.numel():
            raise NotTraceable("a state that is neither of the iterate's form nor a number")
        kind = SCALED if isinstance(leaf, Scaled) else PLAIN
        return kind, self._axes if whole else frozenset(), dims

    # ---------------------------------------------------------------------------------- settings

    def _symbolic(self, rule: Rule) -> Rule:
        """The rule with symbols for its numbers, the rules in it likewise."""
        found = copy(rule)
        floats = _floating(rule)
        for name, value in vars(rule).items():
            object.__setattr__(found, name, self._setting(value, floating=name in floats))
        return found

    def _setting(self, value: Any, *, floating: bool) -> Any:
        if isinstance(value, Rule):
            return self._symbolic(value)
        if isinstance(value, Schedule):
            return _SymbolicSchedule(self, value)
        if isinstance(value, float) or (isinstance(value, int) and floating):
            return self._number(value)
        if isinstance(value, Tensor) and value.dtype == torch.float64 and self._is_number(value):
            return self._number(value)
        return value

    def _is_number(self, value: Tensor) -> bool:
        """Whether it has one value for each problem."""
        return value.ndim == 0 or all(size == 1 for size in value.shape[-self.ndim :])

    def _number(self, value: float | Tensor) -> Symbol:
        return Symbol(self.frame, self.graph.setting(value), ())

    def schedule(self, schedule: Schedule, t: Any) -> Symbol:
        """A schedule's number at a step."""
        offset = None if schedule.is_constant else _offset(t)
        if offset is None:
            at = 0 if schedule.is_constant else int(t)
            key = (id(schedule), at)
            if key not in self._numbers:
                self._numbers[key] = self._number(schedule.at(at))
            return self._numbers[key]
        self.ahead = max(self.ahead, offset)
        index = next((k for k, s in enumerate(self.schedules) if s is schedule), None)
        if index is None:
            index = len(self.schedules)
            self.schedules.append(schedule)
        return Symbol(self.frame, self.graph.make("schedule", data=(index, offset)), ())


def _parts(rule: Rule) -> list[int]:
    """What a rule is made of, and the rules in it."""
    parts = list(vars(rule).values())
    return [id(part) for part in parts] + [
        own for part in parts if isinstance(part, Rule) for own in _parts(part)
    ]


def _floating(rule: Rule) -> set[str]:
    """The fields that are numbers, though one may have been given as an integer."""
    own = fields(rule) if is_dataclass(rule) else ()
    return {f.name for f in own if "float" in str(f.type)}


def _offset(t: Any) -> int | None:
    """k of t + k, or None where the step is known."""
    if isinstance(t, int):
        return None
    node = t.node if isinstance(t, Symbol) else None
    if node is not None and node.op == "t":
        return 0
    if node is not None and node.op == "add" and node.args[0].op == "t":
        ahead = node.args[1].value
        if ahead is not None and float(ahead).is_integer() and ahead >= 0:
            return int(ahead)
    raise NotTraceable("a schedule at another step than t + k")


class _SymbolicSchedule(Schedule):
    """A schedule whose numbers are given to the compiled code."""

    def __init__(self, tracer: _Tracer, schedule: Schedule) -> None:
        self.tracer, self.schedule = tracer, schedule

    def at(self, t: Any) -> Any:
        return self.tracer.schedule(self.schedule, t)

    @property
    def is_constant(self) -> bool:
        return self.schedule.is_constant
