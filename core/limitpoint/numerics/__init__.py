"""Numbers that do not leave float64's range, confidence bounds, and a search for worst cases."""

import lazy_loader

from limitpoint.numerics.products import by_rows, combine
from limitpoint.numerics.scaled import LEAST, Scaled, Value, exp, scaled, zeros_like
from limitpoint.numerics.values import (
    cat,
    largest,
    log,
    maximum,
    mean,
    primitive,
    ratio,
    sign,
    sqrt,
    square,
    stack,
    tensor,
    total,
    vector_norm,
)

__all__ = [
    "LEAST",
    "Scaled",
    "Value",
    "by_rows",
    "cat",
    "combine",
    "exp",
    "largest",
    "log",
    "maximum",
    "mean",
    "primitive",
    "ratio",
    "scaled",
    "sign",
    "sqrt",
    "square",
    "stack",
    "tensor",
    "total",
    "vector_norm",
    "zeros_like",
]

__getattr__, _, _ = lazy_loader.attach(__name__, submodules=("confidence", "worst_case"))
