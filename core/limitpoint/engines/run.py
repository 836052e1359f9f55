"""One call for every engine: run a rule on a problem and record where it went."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from limitpoint.engines.checkpoints import Checkpoint, State
from limitpoint.engines.devices import Move, check_device
from limitpoint.engines.trajectory import Trajectory, log_grid
from limitpoint.errors import SubjectFailed, UsageError
from limitpoint.optimizers import Rule
from limitpoint.problems.problem import Objective, Oracle, Problem

ENGINES = ("auto", "torch", "fused")
Integrand = Callable[[Tensor], Tensor]
Watcher = Callable[[int, int], None]


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
    checkpoint: Checkpoint | None = None,
) -> Trajectory:
    """Run a rule for a number of steps.

    Args:
        oracle: the problem.
        rule: the update rule.
        steps: how many steps, >= 0.
        start: w_0, shape (*batch, *parameter), float64; a `Problem` knows its own.
        record: which steps to keep, within 0..steps; a log-spaced grid with both ends by default.
        integrals: functions of the iterate, summed with weight eta_t before each step.
        engine: "torch" runs the definition of the rule; "fused" its compiled form (CPU threads, or
            one Triton program a problem); "auto" the compiled form where there is one.
        device: "cpu" or "cuda": where the steps are taken. What is recorded comes back to where the
            start was.
        watch: called with (step, steps) at each recorded step, and when a state is saved.
        checkpoint: where a long run of the torch engine keeps its state, and goes on from it.

    Raises:
        UsageError: an engine or device that is not there, a problem without a start, or a run that
            the engine asked for does not cover.
        SubjectFailed: an iterate is not finite; says at which recorded step.
    """
    check_engine(engine, device)
    if start is None:
        start = getattr(oracle, "start", None)
        if not isinstance(start, Tensor):
            raise UsageError(f"{type(oracle).__name__} has no start of its own: pass start=...")
    grid = log_grid(steps) if record is None else np.unique(np.fromiter(record, dtype=np.int64))
    if grid.size == 0 or grid[0] < 0 or grid[-1] > steps:
        raise UsageError(f"recorded steps must lie in 0..{steps}")
    work = _Work(oracle, rule, start, dict(integrals or {}))
    with torch.no_grad():
        found = _run_fused(work.on("cpu"), grid, engine, device, watch)
        found = found or _run_torch(work.on(device), grid, watch, checkpoint)
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


def play(rule: Rule, gradients: Tensor) -> Trajectory:
    """Hand a rule a prescribed sequence of gradients, whatever it does with them.

    Step t is taken on the linear function <g_t, w>, from w = 0 on; every step is recorded.

    Args:
        rule: the update rule.
        gradients: g_0, ..., g_{T-1}, shape (T, *batch, d), float64.

    Raises:
        SubjectFailed: an iterate is not finite.
    """
    w = torch.zeros_like(gradients[0])
    kept = [w]
    with torch.no_grad():
        state = rule.init(_linear(gradients[0]), w)
        for t, g in enumerate(gradients):
            w, state = rule.step(_linear(g), w, state, t)
            _check_finite(w, t + 1)
            kept.append(w)
    return Trajectory(np.arange(len(kept)), torch.stack(kept))


def _linear(g: Tensor) -> Objective:
    return Objective("linear", lambda w: (g * w).sum(-1), lambda w: g.expand_as(w))


def check_engine(engine: str, device: str) -> None:
    """Raise UsageError unless the engine and the device exist here."""
    if engine not in ENGINES:
        raise UsageError(f"unknown engine {engine!r}: one of {', '.join(ENGINES)}")
    check_device(device)


def _run_fused(
    work: _Work, grid: np.ndarray, engine: str, device: str, watch: Watcher | None
) -> Trajectory | None:
    """The run in compiled form, or None where torch is asked for or is all there is."""
    if engine == "torch" or (engine == "auto" and not _is_small_problem(work.oracle)):
        return None
    from limitpoint.engines import cpu, gpu  # numba is loaded when it is first used

    try:
        if device == "cuda":
            there = torch.device(device)
            return Trajectory(
                grid, *gpu.execute(gpu.plan(*work), grid, _check_finite, watch, there)
            )
        return Trajectory(grid, *cpu.execute(cpu.plan(*work, device), grid, _check_finite, watch))
    except cpu.NotCovered as missing:
        if engine == "fused":
            raise UsageError(f"the fused engine does not cover {missing}") from None
        return None


def _is_small_problem(oracle: Oracle) -> bool:
    """Whether data fit the cache: beyond it BLAS is ahead (10 times at 400 x 1024 x 10)."""
    return isinstance(oracle, Problem) and oracle.X.shape[-2:].numel() <= 2**16


def _run_torch(
    work: _Work, grid: np.ndarray, watch: Watcher | None, checkpoint: Checkpoint | None
) -> Trajectory:
    oracle, rule, start, integrands = work
    integrands = {"step_size": lambda _: torch.ones((), dtype=torch.float64)} | integrands
    totals = {n: 0 * _weighted(rule.step_size.at(0), f(start)) for n, f in integrands.items()}
    sums: dict[str, list[Tensor]] = {name: [] for name in integrands}
    now = State(0, start.clone(), rule.init(oracle, start), totals, [], sums)
    if checkpoint is not None:
        now = checkpoint.resumed(now, oracle, rule, grid)
    recorded = set(grid.tolist())
    last = int(grid[-1])
    for t in range(now.t, last + 1):
        if t in recorded:
            _check_finite(now.w, t)
            now.record()
            if watch is not None:
                watch(t, last)
        if t < last:
            eta = rule.step_size.at(t)
            for name, f in integrands.items():
                now.totals[name] = now.totals[name] + _weighted(eta, f(now.w))
            now.w, now.memory = rule.step(oracle, now.w, now.memory, t)
            now.t = t + 1
            if checkpoint is not None and checkpoint.keep(now, last) and watch is not None:
                watch(t + 1, last)
    sums_by_name = {n: torch.stack(s) for n, s in now.sums.items()}
    return Trajectory(grid, torch.stack(now.kept), sums_by_name)


def _weighted(eta: float | Tensor, value: Tensor) -> Tensor:
    """eta * value; a batched eta (B, 1, ...) drops or gains dimensions of size one to fit value."""
    if isinstance(eta, Tensor) and value.ndim and eta.ndim > value.ndim:
        eta = eta.reshape(eta.shape[: value.ndim])
    return eta * value


def _check_finite(w: Tensor, t: int) -> None:
    # On a processor numpy looks: torch's threads would wait for one another longer than it takes.
    finite = np.isfinite(w.detach().numpy()) if w.device.type == "cpu" else torch.isfinite(w)
    if not bool(finite.all()):
        kind = "NaN" if bool(torch.isnan(w).any()) else "infinite"
        raise SubjectFailed(f"an iterate is {kind} at step {t} or just before")
