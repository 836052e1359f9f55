"""What is measured along a run, against its definition in plain sums."""

import math

import pytest
import torch

from limitpoint import measures, problems
from limitpoint.problems.losses import Exponential, Logistic
from limitpoint.problems.models import Linear
from limitpoint.problems.problem import Problem
from limitpoint.theory.measures import log_dual_size, off_span


@pytest.fixture
def multiclass():
    return problems.clusters(3)


@pytest.fixture
def w(multiclass):
    rng = torch.Generator().manual_seed(1)
    return torch.randn(2, *multiclass.start.shape, generator=rng, dtype=torch.float64)


def logits(problem, w):
    return [[float(row @ x) for row in w] for x in problem.X]


def softmax(s):
    top = max(s)
    total = sum(math.exp(v - top) for v in s)
    return [math.exp(v - top) / total for v in s]


def test_margins(multiclass, w):
    for one, found in zip(w, measures.margin(multiclass, w), strict=True):
        wanted = min(
            s[y] - s[c]
            for s, y in zip(logits(multiclass, one), multiclass.y.tolist(), strict=True)
            for c in range(len(s))
            if c != y
        )
        assert found.item() == pytest.approx(wanted, rel=1e-12)
    X, y = multiclass.X, 1.0 - 2.0 * (multiclass.y == 0)
    binary = Problem("two", Linear(), Exponential(), X, y, torch.zeros_like(X[0]))
    v = torch.ones_like(binary.start)
    wanted = min(y * float(x @ v) for x, y in zip(binary.X, binary.y.tolist(), strict=True))
    assert measures.margin(binary, v).item() == pytest.approx(wanted, rel=1e-12)
    size = float(v.abs().sum())
    assert measures.normalised_margin(binary, v, 1).item() == pytest.approx(
        wanted / size, rel=1e-12
    )


@pytest.mark.parametrize(
    ("norm", "size"),
    [(1, 10), (2, 30**0.5), (math.inf, 4), ("spectral", 5.4649857), ("nuclear", 5.8309519)],
)
def test_norms_of_a_parameter(norm, size):
    w = torch.tensor([[[1.0, -2.0], [-3.0, 4.0]]], dtype=torch.float64)
    assert measures.matrix_norm(w, norm, 2).tolist() == pytest.approx([size], rel=1e-7)


def test_proxies(multiclass, w):
    n, classes = multiclass.n, w.shape[-2]
    own, wrong = [0.0] * classes, [0.0] * classes
    for s, y in zip(logits(multiclass, w[0]), multiclass.y.tolist(), strict=True):
        p = softmax(s)
        own[y] += (1 - p[y]) / n
        for c in range(classes):
            wrong[c] += (p[c] if c != y else 0.0) / n
    G, Q = measures.log_class_proxies(multiclass, w)
    assert G[0].exp().tolist() == pytest.approx(own, rel=1e-10)
    assert Q[0].exp().tolist() == pytest.approx(wrong, rel=1e-10)
    assert measures.log_proxy(multiclass, w)[0].exp().item() == pytest.approx(sum(own), rel=1e-10)


@pytest.mark.parametrize(("norm", "dual"), [(1, math.inf), (math.inf, 1), (2, 2), (3, 1.5)])
def test_reach_and_dual_norms(multiclass, w, norm, dual):
    each = [torch.linalg.vector_norm(torch.stack([x, -x]), dual).item() for x in multiclass.X]
    assert measures.reach(multiclass, norm).item() == pytest.approx(max(each), rel=1e-12)
    g = multiclass.grad(w)
    plain = g if isinstance(g, torch.Tensor) else g.tensor()
    wanted = [torch.linalg.vector_norm(part, dual).log().item() for part in plain]
    assert measures.log_dual_norm(multiclass, w, norm).tolist() == pytest.approx(wanted, abs=1e-12)
    assert log_dual_size(multiclass, g, norm).tolist() == pytest.approx(wanted, abs=1e-12)


def test_off_the_span():
    X = torch.eye(4, dtype=torch.float64)[:2]
    assert off_span(X, torch.tensor([[5.0, 6.0, 3.0, 4.0]], dtype=torch.float64)).tolist() == [5.0]


def test_smoothness_and_the_trace_of_the_hessian(multiclass, w):
    regression = problems.gaussian_regression(3)
    top = float(torch.linalg.matrix_norm(regression.X, 2)) ** 2
    loss = regression.loss
    wanted = loss.weight(regression.n) * loss.curvature * top
    assert measures.smoothness(regression) == pytest.approx(wanted, rel=1e-12)
    X = multiclass.X
    quarter = Problem("two", Linear(), Logistic(), X, torch.ones_like(X[:, 0]), X[0])
    wanted = quarter.loss.weight(quarter.n) / 4 * float(torch.linalg.matrix_norm(X, 2)) ** 2
    assert measures.smoothness(quarter) == pytest.approx(wanted, rel=1e-12)
    with pytest.raises(TypeError, match="no smoothness"):
        measures.smoothness(multiclass)
    trace = 0.0
    for x, s in zip(multiclass.X, logits(multiclass, w[0]), strict=True):
        trace += float(x @ x) * sum(p * (1 - p) for p in softmax(s))
    trace *= multiclass.loss.weight(multiclass.n)
    assert measures.hessian_trace(multiclass, w)[0].item() == pytest.approx(trace, rel=1e-12)
    with pytest.raises(TypeError, match="no trace"):
        measures.hessian_trace(regression, regression.start)


@pytest.mark.parametrize("measure", [measures.log_proxy, measures.hessian_trace, measures.margin])
def test_whatever_the_shape_of_a_batch(multiclass, w, measure):
    found = measure(multiclass, torch.stack([w, -w, 2 * w]))
    assert found.shape == (3, 2)
    assert measure(multiclass, w[1]).shape == ()
    torch.testing.assert_close(found[0, 1], measure(multiclass, w[1]), rtol=1e-12, atol=0)


def test_the_scale_of_a_difference():
    w = torch.tensor([[2.0, 9.0], [8.0, 4.0]], dtype=torch.float64)
    assert measures.effective_alpha(w).tolist() == [4.0, 6.0]
