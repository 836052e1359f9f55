"""Numbers that do not leave float64's range, confidence bounds, and a search for worst cases."""

from limitpoint.numerics import confidence as confidence
