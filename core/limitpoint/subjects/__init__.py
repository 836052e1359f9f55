"""Subjects: somebody else's optimizer in the role of a claim."""

from limitpoint.subjects._guards import time_limit
from limitpoint.subjects._meter import MEMORY, TIMEOUT
from limitpoint.subjects._subject import Subject, parse_subject
from limitpoint.subjects._torch import TorchOptimizer, own_setting

__all__ = [
    "MEMORY",
    "TIMEOUT",
    "Subject",
    "TorchOptimizer",
    "own_setting",
    "parse_subject",
    "time_limit",
]
