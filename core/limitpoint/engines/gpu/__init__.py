"""The fused engine on CUDA: one Triton program a problem, each equal to the torch definition.

What it covers is a part of what `limitpoint.engines.cpu` covers; `plan` says why where it does not,
and torch, batched, does the rest. Triton is imported when a run is executed.
"""

from limitpoint.engines.gpu._compiling import compiled
from limitpoint.engines.gpu._engine import Plan, execute, plan
from limitpoint.engines.gpu._registry import LOSSES, MODELS, RULES, TORCH_ONLY

__all__ = ["LOSSES", "MODELS", "RULES", "TORCH_ONLY", "Plan", "compiled", "execute", "plan"]
