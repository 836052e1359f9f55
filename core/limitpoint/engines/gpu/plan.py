"""What it takes to run a plan as a Triton kernel, or why that is not to be had."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from limitpoint.engines import cpu
from limitpoint.engines.cpu import NotCovered
from limitpoint.engines.gpu.source import KernelSource, kernel_source
from limitpoint.engines.gpu.source.kernel import NotForTriton
from limitpoint.engines.integrands import Loss
from limitpoint.engines.trace import CLASSES, needed
from limitpoint.problems import models

MODELS: Mapping[type, str] = {
    models.Linear: "linear",
    models.MulticlassLinear: "multiclass",
    models.DiagonalDifference: "difference",
    models.DiagonalProduct: "product",
}
#: Numbers of X that a program works on at a time: they have to fit its registers.
TILE = 2048
#: Inputs or classes of one program at most; beyond them a row leaves the registers.
WIDEST = 1024
#: Smallest side of a matrix product in Triton.
DOT = 16


@dataclass(frozen=True)
class Plan:
    """A run that a kernel does.

    Args:
        run: what the compiled engines know of it, on the CPU.
        source: the kernel.
    """

    run: cpu.Plan
    source: KernelSource

    @cached_property
    def group(self) -> int:
        """Examples of a batch of m-SAM, or one."""
        steps = [step for step in (self.run.traced.first, self.run.traced.later) if step]
        sizes = {
            node.data
            for step in steps
            for node in needed(step.outputs)
            if node.op in ("gradients", "batch_mean")
        }
        return max(sizes, default=1)

    @cached_property
    def constants(self) -> dict[str, Any]:
        """What the kernel is compiled for."""
        run = self.run
        least = DOT if run.model.transposed else 1
        height, width = max(_power_of_two(run.rows), least), max(_power_of_two(run.d), least)
        block = min(_power_of_two(run.seen), max(TILE // width, 1))
        return {
            "MODEL": MODELS[type(run.problem.model)],
            "CLASSES": run.loss.form == CLASSES,
            "SCALED": run.loss.scaled,
            "SETTINGS": run.settings.shape[1],
            "ROWS": height,
            "D": width,
            "P": height if least > 1 else 1,
            "BLOCK": max(block, least),
            "DEPTH": run.rows,
            "STOCHASTIC": run.stochastic is not None,
            "ON_ALL": run.stochastic is not None and run.stochastic.ascent_on_all,
            "SUMMED": bool(run.integrals),
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


def plan(run: cpu.Plan) -> Plan:
    """What it takes to run this on CUDA.

    Raises:
        NotCovered: no kernel does it; says why.
    """
    if importlib.util.find_spec("triton") is None:
        raise NotCovered("CUDA without Triton, which is not installed")
    if type(run.problem.model) not in MODELS:
        raise NotCovered(f"the model {type(run.problem.model).__name__} on CUDA")
    if len(run.integrals) > 1:
        raise NotCovered("more than one integrand on CUDA")
    if any(type(f) is not Loss for f in run.integrals.values()):
        raise NotCovered("another integrand than the loss on CUDA")
    if max(run.rows, run.d) > WIDEST:
        raise NotCovered(f"more than {WIDEST} inputs on CUDA")
    try:
        return Plan(run, kernel_source(run.traced, run.loss))
    except NotForTriton as what:
        raise NotCovered(f"{what} on CUDA") from None
