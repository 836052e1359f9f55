"""Which geometry does an optimizer maximise the margin in?"""

from limitpoint.identification._courses import COURSES, Course
from limitpoint.identification._deciding import Answer, Verdict, conclude, judge
from limitpoint.identification._figure import draw, sparkline
from limitpoint.identification._following import NORMS, Curves
from limitpoint.identification._identify import (
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
