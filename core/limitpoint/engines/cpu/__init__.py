"""The compiled engine on the CPU: whole trajectories in loops that equal the torch definition.

Rules and losses are traced and written out; models have products made by hand. A model, a loss and
a rule are compiled once each and put together by address. What is not covered stays with torch, and
`plan` says why.
"""

from limitpoint.engines.cpu.execute import Run, execute, handing, slices, stepped, threads
from limitpoint.engines.cpu.pack import NotCovered
from limitpoint.engines.cpu.plan import Plan, plan
from limitpoint.engines.cpu.registry import INTEGRANDS, MODELS

__all__ = [
    "INTEGRANDS",
    "MODELS",
    "NotCovered",
    "Plan",
    "Run",
    "execute",
    "handing",
    "plan",
    "slices",
    "stepped",
    "threads",
]
