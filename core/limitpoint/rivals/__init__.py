"""Rivals: real implementations, each wrong in one way, that a claim must refute.

A rival plays the roles in which claims name it, like any contestant: a factory `(step_size,
**settings) -> Rule`. It is given the theorem's settings, takes the ones it knows, and gets one
thing wrong.
"""

from importlib import import_module
from pkgutil import walk_packages

from limitpoint.rivals._registry import RIVALS, Rival, build, detuned, mutation, rival

__all__ = ["RIVALS", "Rival", "build", "detuned", "mutation", "rival"]

# Each module registers the rivals that stand in it.
for _module in walk_packages(__path__, f"{__name__}."):
    import_module(_module.name)
