"""Every model with every loss and every rule, as the engines are held to the torch definition."""

import math
from inspect import isabstract
from itertools import combinations
from zlib import crc32

import pytest
import torch

from limitpoint import Problem, StepSize, losses, models, optimizers
from limitpoint.optimizers import Rule

N, D, K, BATCH = 6, 5, 3, 2


def column(*values: float) -> torch.Tensor:
    """One value a problem, to be shaped by `rule_for`."""
    return torch.tensor(values, dtype=torch.float64)


#: Rivals are rules too.
OWN = ("limitpoint.optimizers.", "limitpoint.problems.")


def concrete(kind: type) -> set[type]:
    """What of a kind limitpoint has itself and can be made."""
    found = {kind} if not isabstract(kind) else set()
    found = found.union(*(concrete(child) for child in kind.__subclasses__()))
    return {one for one in found if one.__module__.startswith(OWN)}


def by_name(kinds: set[type]) -> list[type]:
    """In an order that every process has."""
    return sorted(kinds, key=lambda kind: kind.__name__)


#: Rules as they are tested: each branch of a rule's settings has a line; a tensor differs between
#: the problems of the batch. A rule without a line is tested with its defaults.
RULES = {
    "gd": (optimizers.GD, {}),
    "momentum": (optimizers.Momentum, {"momentum": 0.9}),
    "nesterov": (optimizers.Nesterov, {"momentum": 0.9}),
    "ngd": (optimizers.SteepestDescent, {"p": 2.0}),
    "signgd": (optimizers.SteepestDescent, {"p": math.inf}),
    "cd": (optimizers.SteepestDescent, {"p": 1.0}),
    "nsd-3": (optimizers.SteepestDescent, {"p": 3.0}),
    "nsd-1.5": (optimizers.SteepestDescent, {"p": 1.5}),
    "spectral": (optimizers.SpectralDescent, {}),
    "muon": (optimizers.Muon, {"beta1": 0.5}),
    "muon-decay": (optimizers.Muon, {"weight_decay": 0.1}),
    "muon-5": (optimizers.Muon, {"iterations": 5}),
    "adam": (optimizers.Adam, {"beta1": 0.9, "beta2": 0.95}),
    "adam-epsilon": (optimizers.Adam, {"beta2": 0.99, "epsilon": column(1e-3, 0.0)}),
    "adam-bias": (optimizers.Adam, {"epsilon": 1e-2, "bias_correction": True}),
    "adamw": (optimizers.Adam, {"beta1": 0.8, "bias_correction": True, "weight_decay": 0.1}),
    "amsgrad": (optimizers.AMSGrad, {"beta1": 0.9, "beta2": 0.95}),
    "amsgrad-w": (optimizers.AMSGrad, {"bias_correction": True, "weight_decay": 0.1}),
    "adagrad": (optimizers.Adagrad, {}),
    "adagrad-epsilon": (optimizers.Adagrad, {"epsilon": 1e-3}),
    "rmsprop": (optimizers.RMSprop, {"alpha": 0.95, "epsilon": 1e-3}),
    "lion": (optimizers.Lion, {}),
    "lion-decay": (optimizers.Lion, {"beta1": 0.95, "weight_decay": 0.1}),
    "usam": (optimizers.USAM, {"rho": column(0.05, 0.1)}),
    "n-sam": (optimizers.NSAM, {"rho": 0.05}),
    "sam-l2": (optimizers.L2SAM, {"rho": column(0.05, 0.1)}),
    "sam-linf": (optimizers.LinfSAM, {"rho": column(0.02, 0.04)}),
    "m-sam": (optimizers.MSAM, {"rho": column(0.05, 0.1), "batch_size": 2}),
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
#: Around other rules, and what trains deep networks: its gradients are torch's own.
NOT_COMPILED = {
    optimizers.Stochastic,
    optimizers.Minibatch,
    optimizers.Switch,
    *concrete(optimizers.DeepSGD),
}
_TOLD = {rule for rule, _ in RULES.values()} | NOT_COMPILED
RULES |= {rule.__name__: (rule, {}) for rule in by_name(concrete(Rule) - _TOLD)}
LOSSES |= {loss: {} for loss in by_name(concrete(losses.Loss) - LOSSES.keys())}
#: The rows of a parameter, given d.
MODELS = {
    models.Linear: lambda d: (),
    models.MulticlassLinear: lambda d: (K,),
    models.DiagonalDifference: lambda d: (2,),
    models.DiagonalProduct: lambda d: (3,),
    models.ReluNetwork: lambda d: (d + 2,),
}
#: Rules whose step keeps its length however small the gradient is.
UNIT_STEPS = (
    "ngd",
    "signgd",
    "cd",
    "nsd-3",
    "nsd-1.5",
    "spectral",
    "muon",
    "muon-decay",
    "muon-5",
    "adam",
    "adamw",
    "amsgrad",
    "amsgrad-w",
    "adagrad",
    "adagrad-epsilon",
    "rmsprop",
    "lion",
    "lion-decay",
)


#: Rules of a matrix. A diagonal net's layers become parallel if their steps are long. Hidden units
#: that are all above zero have a gradient of rank two, whose other singular vectors are rounding's.
MATRIX_RULES = (optimizers.SpectralDescent, optimizers.Muon)


def problem_of(
    model: type,
    loss: type,
    *,
    calm: bool = True,
    n: int = N,
    d: int = D,
    size: float = 1.0,
    **settings: object,
) -> Problem:
    """A batch of problems with data of their own; separable, where that means something.

    Args:
        size: of the start.
        calm: no entry of the gradient changes its sign within a run, and none of its singular
            values reaches zero. Where one does, a rule with steps of unit length hovers there and
            doubles a difference at every step: it is chaotic, and 1000 steps say nothing about the
            engines.
    """
    random = torch.Generator().manual_seed(7)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    X = 0.5 * normal(BATCH, n, d)
    labels = torch.arange(n) % K
    if calm:
        own = torch.arange(d) % K == labels.unsqueeze(-1)
        X = 0.2 * X.abs() + (0.5 + own if issubclass(loss, losses.MulticlassLoss) else 0.5)
    y = X.sum(-1) * 3
    if issubclass(loss, losses.MarginLoss):
        y = (1.0 - 2.0 * (torch.arange(n) % 2)).expand(BATCH, n).clone()
        X = X * y.unsqueeze(-1)
    if issubclass(loss, losses.MulticlassLoss):
        y = labels.expand(BATCH, n)
    start = size * (0.4 + 0.1 * normal(BATCH, *MODELS[model](d), d))
    return Problem("parity", model(), loss(**{**LOSSES[loss], **settings}), X, y, start)


def fits(model: type, loss: type, rule: type) -> bool:
    """Whether the three make sense together."""
    if rule in MATRIX_RULES and model in (models.Linear, models.ReluNetwork):
        return False
    return issubclass(loss, losses.MulticlassLoss) == (model is models.MulticlassLinear)


def rule_for(name: str, ndim: int, scale: float = 1.0) -> Rule:
    """The rule, a number a problem where it has one, and a schedule a problem."""
    kind, settings = RULES[name]

    def shaped(value: object) -> object:
        return value.reshape(-1, *[1] * ndim) if isinstance(value, torch.Tensor) else value

    initial = column(0.001, 0.002) if name in UNIT_STEPS else column(0.01, 0.02)
    if kind in MATRIX_RULES:
        initial = initial / 5
    schedule = StepSize(shaped(scale * initial), shaped(column(0.3, 0.5)))
    return kind(schedule, **{key: shaped(value) for key, value in settings.items()})


#: One loss without a scale, one with, one with a scale for each class.
FEWER_LOSSES = (losses.Squared, losses.Logistic, losses.CrossEntropy)
#: A rule's first line goes with every loss, its other settings with those three.
FIRST = {name for name in RULES if name == next(n for n in RULES if RULES[n][0] is RULES[name][0])}
CHOSEN = [
    (model, loss, name)
    for model in MODELS
    for loss in LOSSES
    for name in RULES
    if fits(model, loss, RULES[name][0]) and (name in FIRST or loss in FEWER_LOSSES)
]


def name_of(triple: tuple[type, type, str]) -> str:
    """How pytest calls it."""
    model, loss, rule = triple
    return f"{model.__name__}-{loss.__name__}-{rule}"


def pairwise(triples: list[tuple[type, type, str]]) -> set[tuple[type, type, str]]:
    """Enough of them that each two parts of a kernel meet: its text is joined of the three."""
    chosen, met = set(), set()
    for triple in sorted(triples, key=lambda triple: crc32(name_of(triple).encode())):
        pairs = set(combinations(triple, 2))
        if not pairs <= met:
            met |= pairs
            chosen.add(triple)
    return chosen


_COVER = pairwise(CHOSEN)
#: Every model with every loss and rule; what adds no pair of them is left to ci/nightly.
TRIPLES = [
    pytest.param(*t, id=name_of(t), marks=[] if t in _COVER else pytest.mark.nightly)
    for t in CHOSEN
]
FEWER = [triple for triple in TRIPLES if triple.values[1] in FEWER_LOSSES]
