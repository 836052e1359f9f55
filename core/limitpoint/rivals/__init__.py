"""Rivals: real implementations, each wrong in one way, that a claim must refute.

A rival plays the roles in which claims name it, like any contestant: a factory `(step_size,
**settings) -> Rule`. It is given the theorem's settings, takes the ones it knows, and gets one
thing wrong.
"""

from limitpoint.rivals import (  # registration
    adaptive,
    any_rule,
    averages,
    classes,
    decays,
    deep,
    descent,
    diagonal,
    iterations,
    late,
    momenta,
    one_example,
    perturbations,
    right_rules,
    sharpness,
    signs,
    sums,
    widths,
)
from limitpoint.rivals._registry import RIVALS, Rival, build, mutation, rival

__all__ = [
    "RIVALS",
    "Rival",
    "adaptive",
    "any_rule",
    "averages",
    "build",
    "classes",
    "decays",
    "deep",
    "descent",
    "diagonal",
    "iterations",
    "late",
    "momenta",
    "mutation",
    "one_example",
    "perturbations",
    "right_rules",
    "rival",
    "sharpness",
    "signs",
    "sums",
    "widths",
]
