"""Problems with names: each is one function, its data made by PCG64 from a seed."""

from limitpoint.problems.objectives import quadratic, sine_valley
from limitpoint.problems.regression import (
    authors_sparse_regression,
    gaussian_regression,
    one_equation,
    sparse_regression,
)
from limitpoint.problems.separable import clusters, digits, one_example
from limitpoint.problems.support import support_simplex

__all__ = [
    "authors_sparse_regression",
    "clusters",
    "digits",
    "gaussian_regression",
    "one_equation",
    "one_example",
    "quadratic",
    "sine_valley",
    "sparse_regression",
    "support_simplex",
]
