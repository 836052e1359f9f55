"""Which geometry does an optimizer maximise the margin in?"""

from limitpoint.identifying._courses import COURSES, Course
from limitpoint.identifying._deciding import Answer, Verdict, conclude, judge
from limitpoint.identifying._figure import draw, sparkline
from limitpoint.identifying._following import NORMS, Curves
from limitpoint.identifying._identify import (
    STEPS,
    TIMEOUT,
    Identification,
    identify,
    identify_subject,
)

__all__ = [
    "COURSES",
    "NORMS",
    "STEPS",
    "TIMEOUT",
    "Answer",
    "Course",
    "Curves",
    "Identification",
    "Verdict",
    "conclude",
    "draw",
    "identify",
    "identify_subject",
    "judge",
    "sparkline",
]
