"""Losses, models and gradients against autograd."""

import math

import pytest
import torch
from torch.autograd.functional import jacobian

from limitpoint import Problem, losses, models, problems
from limitpoint.numerics import tensor

BINARY = (losses.Logistic(), losses.Exponential(mean=True), losses.Probit())
FINITE_ROOT = (losses.Squared(), losses.Squared(mean=True, factor=0.5), losses.PseudoHuber(0.7))
MULTICLASS = (losses.CrossEntropy(), losses.MulticlassExponential(), losses.PairLogLoss(mean=False))
LINEAR_START, LAYERED = (5,), (2, 5)


def make(model, loss, shape, seed=0):
    stream = torch.Generator().manual_seed(seed)
    X = torch.randn(6, 5, generator=stream, dtype=torch.float64)
    y = torch.randn(6, generator=stream, dtype=torch.float64)
    if isinstance(loss, losses.MarginLoss):
        y = y.sign()
    if isinstance(loss, losses.MulticlassLoss):
        y = torch.tensor([0, 1, 2, 0, 1, 2])
    return Problem(
        "p", model, loss, X, y, torch.randn(shape, generator=stream, dtype=torch.float64)
    )


CASES = [
    *((models.Linear(), loss, (5,)) for loss in (*BINARY, *FINITE_ROOT, losses.LogCosh())),
    *((models.MulticlassLinear(), loss, (3, 5)) for loss in MULTICLASS),
    *((models.DiagonalDifference(), loss, (2, 5)) for loss in (*BINARY, *FINITE_ROOT)),
    *((models.DiagonalProduct(), loss, (3, 5)) for loss in (*BINARY, *FINITE_ROOT)),
]
IDS = [f"{type(m).__name__}-{type(loss).__name__}-{i}" for i, (m, loss, _) in enumerate(CASES)]


@pytest.mark.parametrize(("model", "loss", "shape"), CASES, ids=IDS)
def test_gradient_is_autograds(model, loss, shape):
    problem = make(model, loss, shape)
    expected = jacobian(problem.value, problem.start)
    torch.testing.assert_close(
        tensor(problem.grad(problem.start)), expected, rtol=1e-11, atol=1e-12
    )


@pytest.mark.parametrize(("model", "loss", "shape"), CASES, ids=IDS)
def test_log_value_is_the_logarithm(model, loss, shape):
    problem = make(model, loss, shape)
    torch.testing.assert_close(problem.log_value(problem.start), problem.value(problem.start).log())


@pytest.mark.parametrize(("model", "loss", "shape"), CASES, ids=IDS)
def test_batches_of_examples_average_to_the_problem(model, loss, shape):
    problem = make(model, loss, shape)
    for size in (1, 2, 3, 6):
        parts = problem.sharpness_batches(size)
        mean = tensor(parts.grad(problem.start.unsqueeze(0))).mean(0) * problem.batch_weight(size)
        torch.testing.assert_close(
            mean, tensor(problem.grad(problem.start)), rtol=1e-11, atol=1e-12
        )


def test_log_value_goes_where_the_value_cannot():
    problem = problems.clusters(0, k=3, d=8, per_class=2, sigma=0.0)
    w = 1e4 * torch.linalg.pinv(problem.X[::2]).mT
    assert float(problem.value(w)) == 0.0
    assert float(problem.log_value(w)) == pytest.approx(-1e4 + math.log(2.0), rel=1e-3)
