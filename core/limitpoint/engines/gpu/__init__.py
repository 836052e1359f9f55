"""The compiled engine on CUDA: one Triton program a problem, each equal to the torch definition.

Kernels are written from the graphs of `limitpoint.engines.trace`, as the processor's are. Where
there is none, `plan` says why, and torch, batched, does the rest. Triton is imported when a run is
executed.
"""

from limitpoint.engines.gpu.execute import compiled, execute
from limitpoint.engines.gpu.plan import MODELS, Plan, plan

__all__ = ["MODELS", "Plan", "compiled", "execute", "plan"]
