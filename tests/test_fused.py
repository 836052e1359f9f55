"""The fused engine is the torch engine, to rounding: every model with every loss and every rule."""

import inspect
import math

import pytest
import torch

from limitpoint import Problem, StepSize, fused, losses, models, optimizers, run
from limitpoint.optimizers import Rule
from limitpoint.roles import ROLES

N, D, K, BATCH = 6, 5, 3, 2


def column(*values: float) -> torch.Tensor:
    """One value a problem, to be shaped by `settings_for`."""
    return torch.tensor(values, dtype=torch.float64)


#: Rules as they are tested: every branch of a rule's settings has a line; tensors differ between
#: the problems of the batch.
RULES = {
    "gd": (optimizers.GD, {}),
    "momentum": (optimizers.Momentum, {"momentum": 0.9}),
    "ngd": (optimizers.SteepestDescent, {"p": 2.0}),
    "signgd": (optimizers.SteepestDescent, {"p": math.inf}),
    "cd": (optimizers.SteepestDescent, {"p": 1.0}),
    "nsd-3": (optimizers.SteepestDescent, {"p": 3.0}),
    "nsd-1.5": (optimizers.SteepestDescent, {"p": 1.5}),
    "spectral": (optimizers.SpectralDescent, {}),
    "adam": (optimizers.Adam, {"beta1": 0.9, "beta2": 0.95}),
    "adam-epsilon": (optimizers.Adam, {"beta2": 0.99, "epsilon": 1e-3, "bias_correction": True}),
    "adamw": (optimizers.Adam, {"beta1": 0.8, "bias_correction": True, "decay": 0.1}),
    "usam": (optimizers.USAM, {"rho": column(0.05, 0.1)}),
    "n-sam": (optimizers.NSAM, {"rho": 0.05}),
    "sam-l2": (optimizers.L2SAM, {"rho": column(0.05, 0.1)}),
    "sam-linf": (optimizers.LinfSAM, {"rho": column(0.02, 0.04)}),
    "m-sam": (optimizers.MSAM, {"rho": column(0.05, 0.1), "batch_size": 3}),
    "1-sam": (optimizers.OneSAM, {"rho": column(0.05, 0.1)}),
}
LOSSES = {
    losses.Squared: {"mean": True, "factor": 0.5},
    losses.PseudoHuber: {"delta": 0.7},
    losses.LogCosh: {"mean": True},
    losses.Logistic: {},
    losses.Exponential: {"mean": True},
    losses.Probit: {"factor": 0.3},
    losses.CrossEntropy: {},
    losses.MulticlassExponential: {},
    losses.PairLogLoss: {},
}
MODELS = {
    models.Linear: (D,),
    models.MulticlassLinear: (K, D),
    models.DiagonalDifference: (2, D),
    models.DiagonalProduct: (3, D),
}
#: Rules whose step keeps its length however small the gradient is.
UNIT_STEPS = ("ngd", "signgd", "cd", "nsd-3", "nsd-1.5", "spectral", "adam", "adamw")


def problem_of(model: type, loss: type, *, calm: bool, batch: int | None = BATCH) -> Problem:
    """A batch of problems with data of their own; separable, where that means something.

    Args:
        calm: no entry of the gradient changes its sign within a run. Where one does, a rule with
            steps of unit length hovers around its zero and doubles a difference at every step: it
            is chaotic, and 1000 steps say nothing about the engines.
    """
    random = torch.Generator().manual_seed(7)
    lead = () if batch is None else (batch,)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    X = normal(*lead, N, D)
    labels = torch.arange(N) % K
    signs = 1.0 - 2.0 * (torch.arange(N) % 2)
    if calm:
        own = torch.arange(D) % K == labels.unsqueeze(-1)
        X = 0.1 * X.abs() + (0.5 + own if issubclass(loss, losses.MulticlassLoss) else 0.5)
    y = X.sum(-1) * 3
    if issubclass(loss, losses.MarginLoss):
        y = signs.expand(*lead, N).clone()
        X = X * y.unsqueeze(-1)
    if issubclass(loss, losses.MulticlassLoss):
        y = labels.expand(*lead, N)
    start = 0.4 + 0.1 * normal(*lead, *MODELS[model])
    return Problem("parity", model(), loss(**LOSSES[loss]), X, y, start)


def fits(model: type, loss: type, rule: type) -> bool:
    """Whether the three make sense together."""
    if rule is optimizers.SpectralDescent and len(MODELS[model]) == 1:
        return False
    return issubclass(loss, losses.MulticlassLoss) == (model is models.MulticlassLinear)


def rule_for(name: str, ndim: int, batch: bool = True) -> Rule:
    """The rule, a number a problem where it has one, and a schedule a problem."""
    kind, settings = RULES[name]

    def shaped(value: object) -> object:
        if not isinstance(value, torch.Tensor):
            return value
        return value.reshape(-1, *[1] * ndim) if batch else float(value[0])

    initial = column(0.001, 0.002) if name in UNIT_STEPS else column(0.01, 0.02)
    schedule = StepSize(shaped(initial), shaped(column(0.3, 0.5)))
    return kind(schedule, **{key: shaped(value) for key, value in settings.items()})


def gap(problem: Problem, rule: Rule, steps: int) -> float:
    """Largest difference between the engines at any recorded step, relative to the iterate."""
    here = run(problem, rule, steps, engine="fused")
    there = run(problem, rule, steps, engine="torch")
    assert float((there.w[0] - there.final).abs().max()) > 1e-4
    dims = problem.dims
    return float(((here.w - there.w).abs().amax(dims) / there.w.abs().amax(dims)).max())


TRIPLES = [
    pytest.param(model, loss, name, id=f"{model.__name__}-{loss.__name__}-{name}")
    for model in MODELS
    for loss in LOSSES
    for name in RULES
    if fits(model, loss, RULES[name][0])
]


@pytest.mark.parametrize(("model", "loss", "name"), TRIPLES)
def test_fused_is_torch(model, loss, name):
    """1000 steps where no decision hangs on a rounding error, 50 where some may come to."""
    for calm, steps in ((True, 1000), (False, 50)):
        problem = problem_of(model, loss, calm=calm)
        assert gap(problem, rule_for(name, problem.ndim), steps) <= 1e-12
