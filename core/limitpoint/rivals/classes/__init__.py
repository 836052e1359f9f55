"""Faults that people met in public optimizers, each as a class of torch's kind beside its twin."""

from limitpoint.rivals.classes import ascents, averages, buffers, right, sam

__all__ = ["ascents", "averages", "buffers", "right", "sam"]
