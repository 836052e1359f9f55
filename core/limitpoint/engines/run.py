"""One call for every engine: run a rule on a problem and record where it went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from limitpoint.engines import definition
from limitpoint.engines.checkpoints import Checkpoint
from limitpoint.engines.choice import Report, check_engine, compiled_or_why, something_else
from limitpoint.engines.devices import Move
from limitpoint.engines.trajectory import (
    Integrand,
    MakeRoom,
    Trajectory,
    Watcher,
    apart,
    log_grid,
    make_room,
)
from limitpoint.errors import UsageError
from limitpoint.optimizers import Rule
from limitpoint.problems.problem import Objective, Oracle

if TYPE_CHECKING:
    from limitpoint.engines.cpu import Plan


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
    store: Path | None = None,
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
        store: a folder for recorded iterates that need not fit into memory: they are written to
            `w.npy` there, and the trajectory's w is that file, mapped.

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
    if store is not None and (device != "cpu" or rule.is_foreign):
        raise UsageError("store=...: iterates of another device or process cannot be mapped")
    if store is not None and checkpoint is not None:
        raise UsageError("a run has a store or a checkpoint, which holds what is recorded as well")
    work, room = _Work(oracle, rule, start, dict(integrals or {})), partial(make_room, store=store)
    with torch.no_grad():
        compiled = partial(_compiled, work.on("cpu"), grid, device, watch, room)
        found = compiled_or_why(engine, rule, compiled)
        why = found if isinstance(found, str) else ""
        if isinstance(found, str):
            where = work.on("cpu" if rule.is_foreign else device)
            found = _defined(where, grid, watch, checkpoint, None if store is None else room)
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
    work: _Work,
    grid: np.ndarray,
    watch: Watcher | None,
    checkpoint: Checkpoint | None,
    room: MakeRoom | None,
) -> Trajectory:
    """The run by its definition."""
    last = int(grid[-1])
    beat = None if watch is None else lambda t: watch(t, last)
    defined = partial(definition.trajectory, *work, grid, watch, checkpoint, room)
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


def _compiled(
    work: _Work, grid: np.ndarray, device: str, watch: Watcher | None, room: MakeRoom
) -> Trajectory:
    """The run in compiled form; NotCovered where it has none."""
    from limitpoint.engines import cpu

    plan = cpu.plan(*work)
    if not plan.is_own:
        _check(work, plan)
    if device == "cpu":
        return Trajectory(grid, *cpu.execute(plan, grid, definition.check_finite, watch, room))
    from limitpoint.engines import gpu

    there = torch.device(device)
    return Trajectory(
        grid, *gpu.execute(gpu.plan(plan), grid, definition.check_finite, watch, there)
    )


def _check(work: _Work, plan: Plan) -> None:
    """Raise NotCovered unless somebody's rule does compiled what it does by its definition."""
    from limitpoint.engines import cpu

    grid = np.arange(3)
    here, _ = cpu.execute(plan, grid, lambda w, t: None, None)
    there = definition.trajectory(work.oracle, work.rule, work.start, {}, grid).w
    far = float((there - there[0]).abs().max())
    if not bool((here - there).abs().max() <= 1e-9 * far):
        raise cpu.NotCovered(something_else(work.rule))
