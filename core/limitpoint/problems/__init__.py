"""Problems with names: each is one function, its data made by PCG64 from a seed."""

from limitpoint.problems.geometries import far_apart
from limitpoint.problems.objectives import (
    bent_valley,
    composed,
    conditioned_rows,
    leaning_ridges,
    noisy_terms,
    parabola_chain,
    quadratic,
    sine_valley,
)
from limitpoint.problems.pixels import two_digits
from limitpoint.problems.random_functions import cosine_waves, ridges
from limitpoint.problems.regression import (
    authors_sparse_regression,
    axis_regression,
    gaussian_regression,
    one_equation,
    overshooting_regression,
    sparse_regression,
    sparse_target,
)
from limitpoint.problems.relu import (
    relu_function,
    relu_regression,
    slope_variation,
)
from limitpoint.problems.separable import (
    axes,
    clusters,
    digits,
    drawn_mu,
    mirrored_pair,
    one_example,
    sparse_margin,
    threshold_example,
    wide_layer,
)
from limitpoint.problems.support import lopsided, support_simplex
from limitpoint.problems.wide_network import wide_network

__all__ = [
    "authors_sparse_regression",
    "axes",
    "axis_regression",
    "bent_valley",
    "clusters",
    "composed",
    "conditioned_rows",
    "cosine_waves",
    "digits",
    "drawn_mu",
    "far_apart",
    "gaussian_regression",
    "leaning_ridges",
    "lopsided",
    "mirrored_pair",
    "noisy_terms",
    "one_equation",
    "one_example",
    "overshooting_regression",
    "parabola_chain",
    "quadratic",
    "relu_function",
    "relu_regression",
    "ridges",
    "sine_valley",
    "slope_variation",
    "sparse_margin",
    "sparse_regression",
    "sparse_target",
    "support_simplex",
    "threshold_example",
    "two_digits",
    "wide_layer",
    "wide_network",
]
