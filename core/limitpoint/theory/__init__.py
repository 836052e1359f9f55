"""What the papers derive, as functions: quantities that a claim compares a run with."""

import lazy_loader

MODULES = (
    "limits",
    "measures",
    "amplification",
    "descent",
    "diagonal",
    "moments",
    "points",
    "rescaled",
    "runner",
    "separable",
    "sharpness",
    "steepest",
    "stochastic",
)
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=MODULES)
