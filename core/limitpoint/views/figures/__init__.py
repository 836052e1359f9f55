"""Figures of the papers, each redrawn by one function.

A figure is registered by `figure` and drawn by calling it: it returns a matplotlib `Figure` and
touches no global state of pyplot.
"""

from limitpoint.views.figures import (  # registration
    adaptive,
    deep,
    deep_sharpness,
    deep_training,
    minor_first,
    multiclass,
    pixels,
    sam,
    steps,
    usam,
    widths,
)
from limitpoint.views.figures._registry import FIGURES, Drawing, figure

__all__ = [
    "FIGURES",
    "Drawing",
    "adaptive",
    "deep",
    "deep_sharpness",
    "deep_training",
    "figure",
    "minor_first",
    "multiclass",
    "pixels",
    "sam",
    "steps",
    "usam",
    "widths",
]
