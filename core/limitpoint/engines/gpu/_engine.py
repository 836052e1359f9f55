"""Running a plan on CUDA: arrays there, launches slice by slice, records back."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limitpoint.engines import cpu
from limitpoint.engines.cpu import NotCovered
from limitpoint.engines.cpu._engine import slices
from limitpoint.engines.cpu._pack import indexed
from limitpoint.engines.gpu import _registry
from limitpoint.optimizers import Rule
from limitpoint.optimizers.schedules import StepSize
from limitpoint.optimizers.stochastic import Stochastic
from limitpoint.problems.problem import Oracle

#: Numbers of X that a program works on at a time: they have to fit its registers.
TILE = 2048
#: Inputs or classes of one program at most; beyond them a row leaves the registers.
WIDEST = 1024
#: Smallest side of a matrix product in Triton.
DOT = 16
Watcher = Callable[[int, int], None]
OnRecord = Callable[[Tensor, int], None]


@dataclass(frozen=True)
class Plan:
    """A run that the kernel does.

    Args:
        run: what the fused engine knows of it, on the CPU.
    """

    run: cpu.Plan

    @property
    def rule(self) -> Rule:
        """The rule that takes the steps."""
        return self.run.inner

    @property
    def stochastic(self) -> Stochastic | None:
        """The rule around it that draws the examples, if there is one."""
        return self.run.rule if isinstance(self.run.rule, Stochastic) else None

    @cached_property
    def names(self) -> dict[str, str]:
        """Model, loss and rule, as the kernel calls them."""
        return {
            "MODEL": _registry.MODELS[type(self.run.problem.model)],
            "LOSS": _registry.LOSSES[type(self.run.problem.loss)],
            "RULE": _registry.RULES[type(self.rule)](self.rule),
        }

    @cached_property
    def constants(self) -> dict[str, Any]:
        """What the kernel is compiled for."""
        rows, d = self.run.rows, self.run.start.shape[-1]
        least = DOT if self.names["MODEL"] == "multiclass" else 1
        height, width = max(_power_of_two(rows), least), max(_power_of_two(d), least)
        seen = 1 if self.stochastic else self.run.problem.n
        block = min(_power_of_two(seen), max(TILE // width, 1))
        return self.names | {
            "SETTINGS": self.run.settings.shape[1],
            "ROWS": height,
            "D": width,
            "P": height if least > 1 else 1,
            "BLOCK": max(block, least),
            "DEPTH": rows,
            "STOCHASTIC": self.stochastic is not None,
            "ON_ALL": self.stochastic is not None and self.stochastic.ascent_on_all,
            "SUMMED": bool(self.run.integrals),
        }

    @property
    def options(self) -> dict[str, Any]:
        """How it is compiled: with groups of 32 threads a program, and products that are rounded.

        A product that is added without being rounded would tell w_+^2 from w_-^2 where they are
        equal.
        """
        tile = self.constants["BLOCK"] * self.constants["D"]
        return {"num_warps": min(max(tile // 256, 1), 8), "enable_fp_fusion": False}


def _power_of_two(size: int) -> int:
    """The smallest power of two that is no less."""
    return 1 << (size - 1).bit_length()


def plan(oracle: Oracle, rule: Rule, start: Tensor, integrals: Mapping[str, Any]) -> Plan:
    """What it takes to run this on CUDA; everything given is on the CPU.

    Raises:
        NotCovered: the kernel does not do it; says why.
    """
    if importlib.util.find_spec("triton") is None:
        raise NotCovered("CUDA without Triton, which is not installed")
    found = Plan(cpu.plan(oracle, rule, start, integrals, "cpu"))
    for what, part, table in (
        ("the model", found.run.problem.model, _registry.MODELS),
        ("the loss", found.run.problem.loss, _registry.LOSSES),
        ("the rule", found.rule, _registry.RULES),
    ):
        if type(part) not in table:
            reason = _registry.TORCH_ONLY.get(type(part), "")
            name = f"{what} {type(part).__name__} on CUDA"
            raise NotCovered(name + (f" ({reason})" if reason else ""))
    if type(rule.step_size) is not StepSize:
        raise NotCovered(f"the schedule {type(rule.step_size).__name__} on CUDA")
    if len(integrals) > 1:
        raise NotCovered("more than one integrand on CUDA")
    if max(found.run.rows, found.run.start.shape[-1]) > WIDEST:
        raise NotCovered(f"more than {WIDEST} inputs on CUDA")
    return found


class Run:
    """The arrays of one run on a device, and the launches that advance it."""

    def __init__(self, found: Plan, grid: NDArray[np.int64], device: torch.device) -> None:
        self.plan, self.grid, self.device = found, grid, device
        run, sizes = found.run, found.constants
        problem, loss = run.problem, run.problem.loss
        X, y = indexed(problem.X, run.batch, 2), indexed(problem.y, run.batch, 1)
        group = getattr(found.rule, "batch_size", 1)
        seen = 1 if found.stochastic else problem.n
        weights = [loss.weight(seen), loss.weight(problem.n), loss.weight(group)]
        shape = cpu.LOSSES[type(loss)].shape(loss)
        self.w = self._there(run.start.reshape(run.count, run.rows, -1))
        self.memory = self._zeros(run.count, 2, sizes["ROWS"], sizes["D"])
        # Zero, at the least scale there is.
        self.memory_scale = self._zeros(run.count, 2, sizes["P"]) - 1e300
        self.sums = self._zeros(run.count, 2)
        self.kept = self._zeros(len(grid), *self.w.shape)
        self.kept_sums = self._zeros(len(grid), *self.sums.shape)
        if grid[0] == 0:
            self.kept[0] = self.w
        self.given = [
            *map(self._there, (X.data, X.of, y.data, y.of, np.array([shape, *weights]))),
            *map(self._there, (*run.schedule[:2], run.settings)),
        ]
        self.times = self._there(grid)
        self.counts = [problem.n, run.start.shape[-1], run.rows, group, len(grid)]
        self.stream = run.stream()

    def _there(self, data: NDArray[Any] | Tensor) -> Tensor:
        return torch.as_tensor(data).to(self.device, copy=True).contiguous()

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.float64, device=self.device)

    def advance(self, begin: int, end: int) -> None:
        """Take all problems from step `begin` to step `end`, and wait for them."""
        from limitpoint.engines.gpu.kernels.loop import trajectory

        draws = self._there(self.plan.run.draws(self.stream, end - begin))
        trajectory[(self.plan.run.count,)](
            *self.given, draws, self.w, self.memory, self.memory_scale, self.sums,
            self.times, self.kept, self.kept_sums, *self.counts,
            int(np.searchsorted(self.grid, begin, side="right")), begin, end,
            **self.plan.options, **self.plan.constants,
        )  # fmt: skip
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def iterates(self, records: slice) -> Tensor:
        """Recorded iterates, shape (records, *batch, *parameter)."""
        kept = self.kept[records]
        return kept.reshape(kept.shape[0], *self.plan.run.start.shape)

    def integrals(self) -> dict[str, Tensor]:
        """Recorded integrals, as the torch engine shapes them."""
        run = self.plan.run
        sums = self.kept_sums.reshape(len(self.grid), *run.batch, 2)
        found = {"step_size": run.step_sizes(sums[..., 0])}
        for name in run.integrals:
            found[name] = sums[..., 1].reshape(len(self.grid), *run.totals[name]).clone()
        return found


def execute(
    found: Plan,
    grid: NDArray[np.int64],
    on_record: OnRecord,
    watch: Watcher | None,
    device: torch.device,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a plan; recorded iterates and integrals, on the device.

    Args:
        found: the plan.
        grid: recorded steps, ascending.
        on_record: called with each recorded iterate and its step; may raise.
        watch: called with (step, last step) at each recorded step.
        device: where; the CPU only if Triton interprets its kernels.
    """
    run, last, seen = Run(found, grid, device), int(grid[-1]), 0
    for begin, end in slices(last):
        run.advance(begin, end)
        upto = int(np.searchsorted(grid, end, side="right"))
        for index, w in enumerate(run.iterates(slice(seen, upto)), start=seen):
            on_record(w, int(grid[index]))
            if watch is not None:
                watch(int(grid[index]), last)
        seen = upto
    return run.iterates(slice(0, len(grid))), run.integrals()
