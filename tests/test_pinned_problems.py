"""Every named problem has a pinned hash.

A hash that moves means that the data moved: every claim that uses it would be another claim.
"""

import hashlib

import pytest
import torch

from limitpoint import Problem, problems
from limitpoint.problems.finite_sum import FiniteSum
from limitpoint.problems.images import spectral_images, upscaled_digits
from limitpoint.problems.problem import Objective

HALF = torch.full((1, 1), 0.5, dtype=torch.float64)
EIGENVALUES = torch.tensor([1.0, 1.5, 2.0], dtype=torch.float64)
#: Where functions are evaluated, by the dimension of the parameter.
POINTS = {
    d: 6 * torch.rand(5, d, generator=torch.Generator().manual_seed(d), dtype=torch.float64) - 3
    for d in (1, 2, 3, 4)
}


def hashed(*parts):
    """First 16 hex digits of the SHA-256, in float32: a float64's last bits are the BLAS's own."""
    data = hashlib.sha256()
    for part in parts:
        data.update((torch.as_tensor(part).float().contiguous() + 0.0).numpy().tobytes())
    return data.hexdigest()[:16]


def digest(found, d):
    """Of data, of a function on `POINTS`, of the terms of a sum, or of several of these."""
    if isinstance(found, Problem):
        return found.digest
    if isinstance(found, Objective):
        return hashed(found.value(POINTS[d]), found.grad(POINTS[d]), *found.constants.values())
    if isinstance(found, FiniteSum):
        return hashed(found.slopes, found.scales, found.grad(POINTS[d]))
    if isinstance(found, tuple):
        return " ".join(digest(part, d) for part in found)
    return hashed(found)


#: By the problem's name, after a slash what it is given: how it is made, the dimension of a
#: function's parameter, and the hash.
PINNED = {
    "authors_sparse_regression": (
        problems.authors_sparse_regression,
        0,
        "c12bf99028990d24 80854e064276b29f",
    ),
    "axis_regression": (
        lambda: problems.axis_regression([2.0, 1.0, 0.5]),
        0,
        "6dcfe081ac1a281b",
    ),
    "axes": (problems.axes, 0, "48d81ed32c28f006"),
    "bent_valley": (
        lambda: problems.bent_valley(HALF, HALF),
        1,
        "cfab742839b417a8 fb360f7241a770dc",
    ),
    "clusters": (lambda: problems.clusters(42), 0, "e4eba0f28764d1b2"),
    "composed": (
        lambda: problems.composed(
            problems.quadratic(EIGENVALUES), POINTS[4][:3], torch.ones(3).double()
        ),
        4,
        "74b9031d8f1f6fab",
    ),
    "conditioned_rows": (lambda: problems.conditioned_rows(42, 4, 6, 3.0), 0, "266b2d37b78bd145"),
    "cosine_waves": (lambda: problems.cosine_waves(42), 4, "ea99ab7245fd95b2"),
    "digits": (problems.digits, 0, "d4ef7db507cfdd69"),
    "drawn_mu": (lambda: problems.drawn_mu(42), 0, "0b75f258cb501e78"),
    "far_apart": (problems.far_apart, 0, "1bfbf17cebf11a29 8efd13d077a14428 e342f152ebbe7828"),
    "gaussian_regression": (lambda: problems.gaussian_regression(42), 0, "a73e55ebb3f5f61c"),
    "gaussian_regression/random": (
        lambda: problems.gaussian_regression(42, random_start=True),
        0,
        "1c8dbbe10b1bb671",
    ),
    "leaning_ridges": (lambda: problems.leaning_ridges(1.0, 0.2), 2, "e82616f2e441747a"),
    "lopsided": (problems.lopsided, 0, "86fe315b6368388c"),
    "mirrored_pair": (lambda: problems.mirrored_pair(42), 0, "b990c5ed0ec108e3"),
    "noisy_terms": (
        lambda: problems.noisy_terms(problems.parabola_chain(3), 42, 3, 0.1, 0.2),
        3,
        "a6c8bca485f5b594",
    ),
    "one_equation": (problems.one_equation, 0, "aa298b36c58b1ce2"),
    "one_example": (
        lambda: problems.one_example(problems.drawn_mu(42), 0.5),
        0,
        "9151644d50d980cb",
    ),
    "overshooting_regression": (problems.overshooting_regression, 0, "a6cda4519f3711a4"),
    "parabola_chain": (lambda: problems.parabola_chain(3), 3, "68ac7140b0894805"),
    "quadratic": (lambda: problems.quadratic(EIGENVALUES), 3, "c8d4b9eade9b47f4"),
    "relu_function": (
        lambda: problems.relu_function(problems.relu_regression(42).start, POINTS[1][:, 0]),
        0,
        "62c0ff365ea8a209",
    ),
    "relu_regression": (lambda: problems.relu_regression(42), 0, "178c53ec73ce097b"),
    "ridges": (lambda: problems.ridges(42, mu=0.1), 4, "e9cbfff31ac58e8b"),
    "sine_valley": (problems.sine_valley, 3, "e4cb683887cc6695"),
    "slope_variation": (
        lambda: problems.slope_variation(problems.relu_regression(42).start),
        0,
        "8e1faa87dab87026",
    ),
    "sparse_margin": (lambda: problems.sparse_margin(42), 0, "fdbb68bfe354bdd4"),
    "sparse_regression": (lambda: problems.sparse_regression(42), 0, "422f9a0f66898cc6"),
    "sparse_target": (lambda: problems.sparse_target(42), 0, "5d4e4d33d396a630"),
    "support_simplex": (lambda: problems.support_simplex(42), 0, "0573a3bd81670192"),
    "support_simplex/flat": (
        lambda: problems.support_simplex(42, spread=0.2),
        0,
        "61f1ae32caaa9b9c",
    ),
    "threshold_example": (lambda: problems.threshold_example(42), 0, "76a2d1b70992cbe7"),
    "two_digits": (lambda: problems.two_digits(42), 0, "a1d7a1e68e856d17"),
    "wide_layer": (lambda: problems.wide_layer(42, 6, 4, 3), 0, "04cf4cb09d182509"),
    "wide_network": (lambda: problems.wide_network(42, 8).start, 0, "ca803f3956369cbe"),
    "images/spectral": (lambda: spectral_images(42).task(2, seed=42)[0], 0, "1cc9731c5c5ccc61"),
    "images/upscaled": (
        lambda: upscaled_digits(42).task(10, 40, seed=42)[1],
        0,
        "6f32f79ab5d51ded",
    ),
}


@pytest.mark.parametrize("name", PINNED)
def test_data_is_pinned(name):
    make, d, expected = PINNED[name]
    assert digest(make(), d) == expected


def test_no_problem_is_left_out():
    assert {name.partition("/")[0] for name in PINNED} == {*problems.__all__, "images"}


def test_a_hash_moves_with_the_data():
    found = problems.quadratic(EIGENVALUES), problems.quadratic(EIGENVALUES * (1 + 1e-6))
    assert len({digest(one, 3) for one in found}) == 2
    sums = [problems.noisy_terms(problems.parabola_chain(3), s, 3, 0.1, 0.2) for s in (1, 2)]
    assert len({digest(one, 3) for one in sums}) == 2
