"""Running a plan on CUDA: arrays there, launches slice by slice, records back."""

from __future__ import annotations

import linecache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limitpoint.engines.cpu import build, slices
from limitpoint.engines.cpu.pack import indexed, values
from limitpoint.engines.gpu.plan import Plan
from limitpoint.engines.trace import leaves
from limitpoint.engines.trajectory import OnRecord, Watcher

#: How the kernel's arguments are typed where it is compiled without a run.
FLOATS = (
    "X", "y", "loss", "factor", "etas", "tables", "settings", "w", "memory", "memory_e", "sums",
    "kept", "kept_sums",
)  # fmt: skip
INTEGERS = ("x_of", "y_of", "now_of", "draws", "times")
COUNTS = (
    "n", "d", "rows", "mean", "group", "records", "record", "begin", "end", "TABLE_T", "TABLE_B",
)  # fmt: skip


def _kernel(found: Plan) -> Any:
    """The kernel's function; Triton reads its text again, so that it has to be in a file."""
    module = build.module("kernel", found.source.text)
    linecache.checkcache(module.__file__)
    return module.trajectory


def compiled(found: Plan, capability: int) -> dict[str, Any]:
    """The kernel of a plan at each stage, from "ttir" to "ptx" (text) and "cubin" (bytes).

    Args:
        found: the plan.
        capability: compute capability of the GPU, times ten: 80 for an A100, 90 for an H200.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    constants = {**found.constants, "ETA_T": 1, "ETA_B": 1}
    types = dict.fromkeys(FLOATS, "*fp64") | dict.fromkeys(INTEGERS, "*i64")
    types |= dict.fromkeys(COUNTS, "i32") | dict.fromkeys(constants, "constexpr")
    source = ASTSource(_kernel(found), types, constants)
    target = GPUTarget("cuda", capability, 32)
    code: dict[str, Any] = triton.compile(source, target=target, options=found.options).asm
    return code


class Run:
    """The arrays of one run on a device, and the launches that advance it."""

    def __init__(self, found: Plan, grid: NDArray[np.int64], device: torch.device) -> None:
        self.plan, self.grid, self.device = found, grid, device
        run, sizes = found.run, found.constants
        problem, loss = run.problem, run.problem.loss
        X, y = indexed(problem.X, run.batch, 2), indexed(problem.y, run.batch, 1)
        self.w = self._there(run.start.reshape(run.count, run.rows, -1))
        self.memory, self.memory_e = self._memory(sizes["ROWS"], sizes["D"])
        self.sums = self._zeros(run.count, 2)
        self.kept = self._zeros(len(grid), *self.w.shape)
        self.kept_sums = self._zeros(len(grid), *self.sums.shape)
        if grid[0] == 0:
            self.kept[0] = self.w
        self.data = [
            *map(self._there, (X.data, X.of, y.data, y.of)),
            self._there(run.loss_settings),
            self._there(np.array([loss.factor])),
        ]
        self.settings = self._there(run.settings)
        self.now_of = self._there(np.array(found.source.now, dtype=np.int64).reshape(-1, 2))
        self.times = self._there(grid)
        mean = int(loss.mean)
        self.counts = [problem.n, run.d, run.rows, mean, found.group, len(grid)]
        self.stream = run.stream()

    def _there(self, data: NDArray[Any] | Tensor) -> Tensor:
        return torch.as_tensor(data).to(self.device, copy=True).contiguous()

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.float64, device=self.device)

    def _memory(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """What the rule keeps before its first step: mantissas and exponents."""
        run = self.plan.run
        shape = (run.count, max(len(run.traced.kinds), 1), height, width)
        parts = np.zeros(shape), np.zeros(shape)
        for k, leaf in enumerate(leaves(run.state)):
            for part, own in zip(parts, values(leaf, run.start), strict=True):  # type: ignore[arg-type]
                part[:, k, : run.rows, : run.d] = own.reshape(run.count, run.rows, run.d)
        return self._there(parts[0]), self._there(parts[1])

    def advance(self, begin: int, end: int) -> None:
        """Take all problems from step `begin` to step `end`, and wait for them."""
        run = self.plan.run
        draws = self._there(run.draws(self.stream, end - begin))
        etas = run.numbers(run.rule.step_size, begin, end)
        tables = run.tables(begin, end)
        sizes = {"ETA_T": int(etas.shape[0] > 1), "ETA_B": etas.shape[1]}
        _kernel(self.plan)[(run.count,)](
            *self.data, self._there(etas), self._there(tables), self.now_of, self.settings, draws,
            self.w, self.memory, self.memory_e, self.sums, self.times, self.kept, self.kept_sums,
            *self.counts, int(np.searchsorted(self.grid, begin, side="right")), begin, end,
            TABLE_T=tables.shape[1], TABLE_B=tables.shape[2],
            **self.plan.options, **self.plan.constants, **sizes,
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
