"""limitpoint: executable theory of optimizers.

Theorems about where optimizers end up, their implicit bias, as tests that run. Names are loaded
when they are first used, so that the pytest plugin costs nothing in sessions without claims.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limitpoint import (
        diagonal,
        evidence,
        limits,
        losses,
        measures,
        models,
        optimizers,
        problems,
    )
    from limitpoint.claiming import Claim, Outcome, Setting, Trial, claim
    from limitpoint.errors import Inconclusive, NotApplicable, SubjectFailed, UsageError
    from limitpoint.flowing import flow
    from limitpoint.ledger import Ledger
    from limitpoint.problem import Objective, Oracle, Problem, stack
    from limitpoint.registry import all_claims, claims_of
    from limitpoint.running import run
    from limitpoint.scaled import Scaled
    from limitpoint.schedules import StepSize
    from limitpoint.trajectory import Trajectory

_HOMES = {
    "claiming": ("Claim", "Outcome", "Setting", "Trial", "claim"),
    "errors": ("Inconclusive", "NotApplicable", "SubjectFailed", "UsageError"),
    "flowing": ("flow",),
    "ledger": ("Ledger",),
    "problem": ("Objective", "Oracle", "Problem", "stack"),
    "registry": ("all_claims", "claims_of"),
    "running": ("run",),
    "scaled": ("Scaled",),
    "schedules": ("StepSize",),
    "trajectory": ("Trajectory",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = ("diagonal", "evidence", "limits", "losses", "measures", "models", "optimizers", "problems")

__all__ = [
    "Claim",
    "Inconclusive",
    "Ledger",
    "NotApplicable",
    "Objective",
    "Oracle",
    "Outcome",
    "Problem",
    "Scaled",
    "Setting",
    "StepSize",
    "SubjectFailed",
    "Trajectory",
    "Trial",
    "UsageError",
    "all_claims",
    "claim",
    "claims_of",
    "diagonal",
    "evidence",
    "flow",
    "limits",
    "losses",
    "measures",
    "models",
    "optimizers",
    "problems",
    "run",
    "stack",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"limitpoint.{name}")
    if name in _HOME:
        return getattr(import_module(f"limitpoint.{_HOME[name]}"), name)
    raise AttributeError(f"module 'limitpoint' has no attribute {name!r}")
