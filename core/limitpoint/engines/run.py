"""One call for every engine: run a rule on a problem and record where it went."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from limitpoint.engines import definition
from limitpoint.engines.checkpoints import Checkpoint
from limitpoint.engines.devices import Move, check_device
from limitpoint.engines.trajectory import Trajectory, apart, log_grid
from limitpoint.errors import UsageError
from limitpoint.optimizers import Rule
from limitpoint.problems.problem import Objective, Oracle

if TYPE_CHECKING:
    from limitpoint.engines.cpu import Plan

ENGINES = ("auto", "torch", "fused")
Integrand = Callable[[Tensor], Tensor]
Watcher = Callable[[int, int], None]
Report = Callable[[str, str], None]


def run(
    oracle: Oracle,
    rule: Rule,
    steps: int,
    *,
    start: Tensor | None = None,
    record: Iterable[int] | None = None,
    integrals: Mapping[str, Integrand] | None = None,
    engine: str = "auto",
    device: str = "cpu",
    watch: Watcher | None = None,
    report: Report | None = None,
    checkpoint: Checkpoint | None = None,
) -> Trajectory:
    """Run a rule for a number of steps.

    Args:
        oracle: the problem.
        rule: the update rule.
        steps: how many steps, >= 0.
        start: w_0, shape (*batch, *parameter), float64; a problem knows its own.
        record: which steps to keep, within 0..steps; a log-spaced grid with both ends by default.
        integrals: functions of the iterate, summed with weight eta_t before each step.
        engine: "torch" runs the definition of the rule; "fused" its compiled form (CPU threads, or
            one Triton program a problem); "auto" the compiled form where there is one.
        device: "cpu" or "cuda": where the steps are taken. What is recorded comes back to where the
            start was.
        watch: called with (step, steps) at each recorded step, and when a state is saved.
        report: called once with the engine that ran and why it was not a compiled one, else "".
        checkpoint: where a long run of the torch engine keeps its state, and goes on from it.

    Raises:
        UsageError: an engine or device that is not there, a problem without a start, or a run that
            the engine asked for does not cover.
        SubjectFailed: an iterate is not finite; says at which recorded step.
    """
    check_engine(engine, device)
    start = getattr(oracle, "start", None) if start is None else start
    if start is None:
        raise UsageError(f"{type(oracle).__name__} has no start of its own: pass start=...")
    grid = log_grid(steps) if record is None else np.unique(np.fromiter(record, dtype=np.int64))
    if grid.size == 0 or grid[0] < 0 or grid[-1] > steps:
        raise UsageError(f"recorded steps must lie in 0..{steps}")
    work = _Work(oracle, rule, start, dict(integrals or {}))
    with torch.no_grad():
        found = _compiled(work.on("cpu"), grid, engine, device, watch)
        why = found if isinstance(found, str) else ""
        if isinstance(found, str):
            found = _defined(work.on("cpu" if rule.is_foreign else device), grid, watch, checkpoint)
        if report is not None:
            report("torch" if why else "fused", why)
        return found.to(start.device)


class _Work(NamedTuple):
    """What is run."""

    oracle: Oracle
    rule: Rule
    start: Tensor
    integrands: dict[str, Integrand]

    def on(self, device: str) -> _Work:
        """The same on a device; itself if it is there."""
        home = self.start.device
        if home.type == device:
            return self
        move = Move(home, torch.device(device))
        integrands = {name: move.integrand(f) for name, f in self.integrands.items()}
        return _Work(move(self.oracle), move(self.rule), move(self.start), integrands)


def _defined(
    work: _Work, grid: np.ndarray, watch: Watcher | None, checkpoint: Checkpoint | None
) -> Trajectory:
    """The run by its definition."""
    last = int(grid[-1])
    beat = None if watch is None else lambda t: watch(t, last)
    defined = partial(definition.trajectory, *work, grid, watch, checkpoint)
    return apart(work.rule, defined, work.oracle, work.start, beat)


def play(rule: Rule, gradients: Tensor) -> Trajectory:
    """Hand a rule a prescribed sequence of gradients, whatever it does with them.

    Step t is taken on the linear function <g_t, w>, from w = 0 on; every step is recorded.

    Args:
        rule: the update rule.
        gradients: g_0, ..., g_{T-1}, shape (T, *batch, d), float64.

    Raises:
        SubjectFailed: an iterate is not finite.
    """
    start, steps = torch.zeros_like(gradients[0]), len(gradients)

    def played() -> Trajectory:
        kept = []
        for t, (w, _) in enumerate(
            definition.iterates(rule, lambda t: _linear(gradients[t]), start, steps)
        ):
            definition.check_finite(w, t)
            kept.append(w)
        return Trajectory(np.arange(len(kept)), torch.stack(kept))

    return apart(rule, played, _linear(gradients[0]), start)


def _linear(g: Tensor) -> Objective:
    return Objective("linear", lambda w: (g * w).sum(-1), lambda w: g.expand_as(w))


def check_engine(engine: str, device: str) -> None:
    """Raise UsageError unless the engine and the device exist here."""
    if engine not in ENGINES:
        raise UsageError(f"unknown engine {engine!r}: one of {', '.join(ENGINES)}")
    check_device(device)


def _compiled(
    work: _Work, grid: np.ndarray, engine: str, device: str, watch: Watcher | None
) -> Trajectory | str:
    """The run in compiled form, or why torch runs instead."""
    if engine == "torch":
        return "torch was asked for"
    from limitpoint.engines import cpu  # numba is loaded when it is first used

    try:
        if work.rule.is_foreign:
            raise cpu.NotCovered(f"the rule {work.rule.name} (its steps are its own code's)")
        plan = cpu.plan(*work)
        if not plan.is_own:
            _check(work, plan)
        if device == "cpu":
            return Trajectory(grid, *cpu.execute(plan, grid, definition.check_finite, watch))
        from limitpoint.engines import gpu

        there = torch.device(device)
        return Trajectory(
            grid, *gpu.execute(gpu.plan(plan), grid, definition.check_finite, watch, there)
        )
    except cpu.NotCovered as missing:
        if engine == "fused":
            raise UsageError(f"the fused engine does not cover {missing}") from None
        return f"not covered: {missing}"


def _check(work: _Work, plan: Plan) -> None:
    """Raise NotCovered unless somebody's rule does compiled what it does by its definition."""
    from limitpoint.engines import cpu

    grid = np.arange(3)
    here, _ = cpu.execute(plan, grid, lambda w, t: None, None)
    there = definition.trajectory(work.oracle, work.rule, work.start, {}, grid).w
    far = float((there - there[0]).abs().max())
    if not bool((here - there).abs().max() <= 1e-9 * far):
        raise cpu.NotCovered(
            f"the rule {work.rule.name} (it does something else when it is traced)"
        )
