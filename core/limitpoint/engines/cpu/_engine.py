"""Running a plan: slices of the run, problems split over threads, records back as tensors."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limitpoint.engines.cpu import _build, _registry
from limitpoint.engines.cpu._pack import (
    Floats,
    Integers,
    NotCovered,
    examples,
    indexed,
    pad,
    padded,
    per_problem,
    room,
    spread,
)
from limitpoint.optimizers import Rule
from limitpoint.optimizers.schedules import LinearStep, StepSize
from limitpoint.optimizers.stochastic import Stochastic
from limitpoint.problems.problem import Oracle, Problem

#: Seconds after which a run comes back to Python: for progress, interrupts, and to stop on a NaN.
SLICE = 0.2
FIRST_SLICE = 256
Integrand = Callable[[Tensor], Tensor]
Watcher = Callable[[int, int], None]
OnRecord = Callable[[Tensor, int], None]


def threads() -> int:
    """How many threads share the problems: LIMITPOINT_THREADS, or the processors there are."""
    chosen = os.environ.get("LIMITPOINT_THREADS", "")
    if chosen.isdecimal() and int(chosen) > 0:
        return int(chosen)
    count = getattr(os, "process_cpu_count", os.cpu_count)()
    return count or 1


@dataclass(frozen=True)
class Plan:
    """A run that the fused engine does.

    Args:
        problem: data, model and loss.
        rule: the update rule.
        start: w_0, shape (*batch, *parameter).
        integrals: integrands by name.
    """

    problem: Problem
    rule: Rule
    start: Tensor
    integrals: Mapping[str, Any]

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

    @cached_property
    def model(self) -> _registry.ModelUnits:
        """The model's units."""
        return _registry.MODELS[type(self.problem.model)]

    @cached_property
    def loss(self) -> _registry.LossUnits:
        """The loss's units."""
        return _registry.LOSSES[type(self.problem.loss)]

    @cached_property
    def unit(self) -> _registry.RuleUnit:
        """The rule's unit."""
        return _registry.RULES[type(self.inner)]

    @property
    def inner(self) -> Rule:
        """The rule that takes the steps."""
        return self.rule.rule if isinstance(self.rule, Stochastic) else self.rule

    @cached_property
    def settings(self) -> Floats:
        """The rule's numbers, shape (B, settings)."""
        numbers = self.unit.settings(self.inner)
        columns = [self._per_problem("a setting", number) for number in numbers]
        return np.stack(columns, axis=1) if columns else np.zeros((self.count, 1))

    @cached_property
    def schedule(self) -> tuple[Floats, Floats, Floats]:
        """eta_0, a, and the step at which eta is zero, each (B,)."""
        schedule = self.rule.step_size
        assert isinstance(schedule, StepSize | LinearStep)
        decay, total = getattr(schedule, "decay", 0.0), getattr(schedule, "total", math.inf)
        return (
            self._per_problem("a step size", schedule.initial),
            self._per_problem("a step-size decay", decay),
            self._per_problem("a linear decay", total),
        )

    def _per_problem(self, name: str, value: float | Tensor) -> Floats:
        return per_problem(name, value, self.batch, self.ndim)

    @cached_property
    def integrands(self) -> list[tuple[_registry.IntegrandUnit, Any]]:
        """The integrands' units and themselves."""
        return [(_registry.INTEGRANDS[type(f)], f) for f in self.integrals.values()]

    @cached_property
    def totals(self) -> dict[str, torch.Size]:
        """Shape of each integral, as the torch engine would have it; "step_size" comes first."""
        eta = torch.as_tensor(self.rule.step_size.at(0))
        shapes = {"step_size": eta.shape}
        for name, f in self.integrals.items():
            value = f(self.start)
            fitted = eta.reshape(eta.shape[: value.ndim]) if eta.ndim > value.ndim else eta
            shapes[name] = (fitted * value).shape
        return shapes

    def stream(self) -> np.random.Generator | None:
        """The stream of examples, from its start; None for a rule that sees all."""
        if not isinstance(self.rule, Stochastic):
            return None
        return np.random.Generator(np.random.PCG64(self.rule.seed))

    def draws(self, stream: np.random.Generator | None, steps: int) -> Integers:
        """The examples of the next steps, shape (steps, B); empty for a rule that sees all."""
        if stream is None:
            return np.zeros((0, 0), dtype=np.int64)
        own = self.problem.y.shape[:-1]
        drawn = torch.from_numpy(stream.integers(self.problem.n, size=(steps, *own)))
        return drawn.broadcast_to(steps, *self.batch).reshape(steps, -1).numpy().copy()

    def step_sizes(self, sums: Tensor) -> Tensor:
        """S (records, *batch) with the dimensions of the step size, as far as it differs."""
        shape = self.totals["step_size"]
        whole = (*[1] * (self.start.ndim - len(shape)), *shape)
        for dim in range(len(self.batch)):
            if whole[dim] == 1:
                sums = sums.narrow(dim + 1, 0, 1)
        return sums.reshape(len(sums), *shape).clone()


def plan(
    oracle: Oracle, rule: Rule, start: Tensor, integrals: Mapping[str, Any], device: str
) -> Plan:
    """What it takes to run this fused.

    Raises:
        NotCovered: the fused engine does not do it; says why.
    """
    if device != "cpu":
        raise NotCovered(f"the device {device}")
    if type(oracle) is not Problem:
        raise NotCovered(f"{type(oracle).__name__} instead of a Problem")
    inner = rule.rule if isinstance(rule, Stochastic) and type(rule) is Stochastic else rule
    if inner is not rule and not oracle.loss.mean:
        raise NotCovered("a stochastic step on a loss that is no mean")
    for what, part, table in (
        ("the model", oracle.model, _registry.MODELS),
        ("the loss", oracle.loss, _registry.LOSSES),
        ("the rule", inner, _registry.RULES),
        ("the schedule", rule.step_size, {StepSize: None, LinearStep: None}),
        *(("the integrand", f, _registry.INTEGRANDS) for f in integrals.values()),
    ):
        if type(part) not in table:  # type: ignore[operator]
            reason = _registry.TORCH_ONLY.get(type(part), "")
            raise NotCovered(f"{what} {type(part).__name__}" + (f" ({reason})" if reason else ""))
    found = Plan(oracle, rule, start, integrals)
    _check(found)
    return found


def _check(found: Plan) -> None:
    """Raise NotCovered where shapes or settings are beyond the kernels."""
    problem = found.problem
    if {problem.X.dtype, found.start.dtype} != {torch.float64}:
        raise NotCovered("data or a start that is not float64")
    if found.start.ndim < found.ndim or problem.n == 0 or found.start.numel() == 0:
        raise NotCovered(f"a start of shape {tuple(found.start.shape)}")
    if found.unit.matrices and found.ndim != 2:
        raise NotCovered(f"the rule {type(found.inner).__name__} on a vector")
    if getattr(found.inner, "radii", None) is not None:
        raise NotCovered("a schedule of radii")
    seen = 1 if isinstance(found.rule, Stochastic) else problem.n
    if seen % getattr(found.inner, "batch_size", 1):
        raise NotCovered(f"batches that do not divide the {seen} examples")
    for unit, f in found.integrands:
        if not unit.fits(f, problem):
            raise NotCovered(f"the integrand {type(f).__name__} of another problem")
    for name in found.integrals:
        if found.totals[name][: len(found.batch)] != found.batch:
            raise NotCovered(f"the integral {name} of shape {tuple(found.totals[name])}")
    # What does not broadcast over the batch raises NotCovered by itself.
    spread("data", problem.X.shape[:-2], found.batch)
    spread("targets", problem.y.shape[:-1], found.batch)
    _ = found.settings, found.schedule


class Run:
    """The arrays of one run, and the calls that advance it."""

    def __init__(self, found: Plan, grid: Integers) -> None:
        self.plan, self.grid = found, grid
        problem, unit, count, rows = found.problem, found.unit, found.count, found.rows
        self.d = found.start.shape[-1]
        width = padded(self.d)
        self.X = examples(problem.X, found.batch, transposed=found.model.transposed)
        self.y = indexed(problem.y, found.batch, 1)
        self.w = pad(found.start.reshape(count, rows, self.d).numpy())
        self.memory = room(count, max(unit.memory, 1), rows, width)
        self.memory_scale = np.zeros(self.memory.shape[:-1])
        self.widths = np.array([self._numbers(name) for name in found.integrals], dtype=np.int64)
        self.sums = np.zeros((count, 1 + int(self.widths.sum())))
        self.kept = np.empty((len(grid), *self.w.shape))
        self.kept_sums = np.empty((len(grid), *self.sums.shape))
        self.slots = unit.work(found.inner, problem)
        self.room = max(self.slots, -(-problem.n // (rows * width)))
        self.stream = found.stream()
        self.call = _build.trajectory()
        self.units = self._units()
        self.integrands, self.integrand_settings = self._integrand_units()

    def _numbers(self, name: str) -> int:
        """How many numbers a problem an integrand gives."""
        return max(self.plan.totals[name].numel() // self.plan.count, 1)

    def _units(self) -> Integers:
        model, loss, rule = self.plan.model, self.plan.loss, self.plan.unit
        found = [
            _build.address("predict", model.module, f"{model.name}_predict"),
            _build.address("pullback", model.module, f"{model.name}_pullback"),
            *self._ascent_units(),
            _build.address("slopes", loss.module, f"{loss.name}_slopes"),
            _build.address("values", loss.module, f"{loss.name}_values") if self.widths.size else 0,
            _build.address("rule", rule.module, rule.name),
        ]
        return np.array(found, dtype=np.int64)

    def _ascent_units(self) -> tuple[int, int]:
        model = self.plan.model
        if not (model.ascends and getattr(self.plan.inner, "batch_size", 0) == 1):
            return 0, 0
        return (
            _build.address("predict", model.module, f"{model.name}_ascended"),
            _build.address("pullback", model.module, f"{model.name}_descended"),
        )

    def _integrand_units(self) -> tuple[Integers, Floats]:
        found = self.plan.integrands
        addresses = [_build.address("integrand", u.module, u.name) for u, _ in found]
        numbers = [u.settings(f) for u, f in found]
        settings = np.zeros((len(found), max([len(n) for n in numbers], default=0) + 1))
        for row, own in zip(settings, numbers, strict=True):
            row[: len(own)] = own
        return np.array(addresses, dtype=np.int64), settings

    def advance(self, pool: ThreadPoolExecutor | None, parts: int, begin: int, end: int) -> None:
        """Take all problems from step `begin` to step `end`."""
        draws = self.plan.draws(self.stream, end - begin)
        edges = np.linspace(0, self.plan.count, parts + 1).astype(int).tolist()
        bounds = list(pairwise(edges))
        if pool is None:
            for lo, hi in bounds:
                self._part(draws, begin, end, lo, hi)
            return
        for future in [pool.submit(self._part, draws, begin, end, lo, hi) for lo, hi in bounds]:
            future.result()

    def _part(self, draws: Integers, begin: int, end: int, lo: int, hi: int) -> None:
        problem, loss = self.plan.problem, self.plan.problem.loss
        classes = self.plan.rows if self.plan.model.transposed else 1
        on_all = isinstance(self.plan.rule, Stochastic) and self.plan.rule.ascent_on_all
        counts = np.array([problem.n, loss.mean, on_all, self.slots], dtype=np.int64)
        shape = np.array([self.plan.loss.shape(loss), loss.factor])
        z = room(2 * classes + 3, padded(problem.n))
        work = room(self.room, *self.w.shape[1:])
        inputs = room(2, max(self.X.data.shape[-1], self.w.shape[-1]))
        self.call(
            self.X.data, self.X.of, self.y.data, self.y.of, counts, shape, self.units,
            *self.plan.schedule, self.plan.settings,
            self.integrands, self.integrand_settings, self.widths,
            self.w, self.memory, self.memory_scale, self.sums,
            z, inputs, np.zeros((problem.n, classes)),
            work, np.zeros(work.shape[:-1]), np.zeros(self.sums.shape[1]), draws,
            self.grid, self.kept, self.kept_sums,
            int(np.searchsorted(self.grid, begin, side="left" if begin == 0 else "right")),
            begin, end, lo, hi,
        )  # fmt: skip

    def iterates(self, records: slice) -> Tensor:
        """Recorded iterates, shape (records, *batch, *parameter)."""
        kept = self.kept[records][..., : self.d]
        return torch.from_numpy(kept.reshape(len(kept), *self.plan.start.shape))

    def integrals(self) -> dict[str, Tensor]:
        """Recorded integrals, as the torch engine shapes them."""
        sums = torch.from_numpy(self.kept_sums).reshape(len(self.grid), *self.plan.batch, -1)
        found, column = {"step_size": self.plan.step_sizes(sums[..., 0])}, 1
        for name in self.plan.integrals:
            width = self._numbers(name)
            own = sums[..., column : column + width]
            found[name] = own.reshape(len(self.grid), *self.plan.totals[name]).clone()
            column += width
        return found


def slices(last: int) -> Iterator[tuple[int, int]]:
    """Consecutive pieces of a run that each take about `SLICE` seconds."""
    begin, size = 0, FIRST_SLICE
    while begin < last or begin == 0:
        end = min(begin + size, last)
        started = time.perf_counter()
        yield begin, end
        spent = time.perf_counter() - started
        size = max(1, int(size * min(max(SLICE / max(spent, 1e-9), 0.25), 16.0)))
        if end == last:
            return
        begin = end


def execute(
    found: Plan, grid: NDArray[np.int64], on_record: OnRecord, watch: Watcher | None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a plan; recorded iterates and integrals.

    Args:
        found: the plan.
        grid: recorded steps, ascending.
        on_record: called with each recorded iterate and its step; may raise.
        watch: called with (step, last step) at each recorded step.
    """
    run, last, seen = Run(found, grid), int(grid[-1]), 0
    workers = min(threads(), found.count)
    pool = ThreadPoolExecutor(workers) if workers > 1 else None
    try:
        for begin, end in slices(last):
            run.advance(pool, workers, begin, end)
            upto = int(np.searchsorted(grid, end, side="right"))
            for index, w in enumerate(run.iterates(slice(seen, upto)), start=seen):
                on_record(w, int(grid[index]))
                if watch is not None:
                    watch(int(grid[index]), last)
            seen = upto
    finally:
        if pool is not None:
            pool.shutdown()
    return run.iterates(slice(0, len(grid))), run.integrals()
