"""The fused engine: whole trajectories in compiled loops, each equal to the torch definition.

A model, a loss and a rule are compiled once each and put together by address, so a new one costs
one small function in `kernels` and one entry in `_registry`. What the engine does not cover stays
with torch, and `plan` says why.
"""

from limitpoint.engines.cpu._engine import Plan, execute, plan, threads
from limitpoint.engines.cpu._pack import NotCovered
from limitpoint.engines.cpu._registry import INTEGRANDS, LOSSES, MODELS, RULES, TORCH_ONLY, WRAPPERS

__all__ = [
    "INTEGRANDS",
    "LOSSES",
    "MODELS",
    "RULES",
    "TORCH_ONLY",
    "WRAPPERS",
    "NotCovered",
    "Plan",
    "execute",
    "plan",
    "threads",
]
