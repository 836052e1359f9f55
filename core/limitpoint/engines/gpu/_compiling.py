"""Machine code of a plan, for a GPU that need not be here."""

from __future__ import annotations

from typing import Any

from limitpoint.engines.gpu._engine import Plan

FLOATS = (
    "X", "y", "loss", "eta", "decay", "settings", "w", "memory", "memory_scale", "sums", "kept",
    "kept_sums",
)  # fmt: skip
INTEGERS = ("x_of", "y_of", "draws", "times")
COUNTS = ("n", "d", "rows", "group", "records", "first", "begin", "end")


def compiled(found: Plan, capability: int) -> dict[str, Any]:
    """The kernel of a plan at each stage, from "ttir" to "ptx" (text) and "cubin" (bytes).

    Args:
        found: the plan.
        capability: compute capability of the GPU, times ten: 80 for an A100, 90 for an H200.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from limitpoint.engines.gpu.kernels.loop import trajectory

    types = dict.fromkeys(FLOATS, "*fp64") | dict.fromkeys(INTEGERS, "*i64")
    types |= dict.fromkeys(COUNTS, "i32") | dict.fromkeys(found.constants, "constexpr")
    source = ASTSource(trajectory, types, found.constants)
    target = GPUTarget("cuda", capability, 32)
    code: dict[str, Any] = triton.compile(source, target=target, options=found.options).asm
    return code
