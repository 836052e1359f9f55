"""Which models, losses, rules and integrands are compiled, and what they are called with.

A new one is one small function in `kernels` and one entry here. Looked up by exact type: a subclass
may do something else, and the wrong implementations that claims are tested against are subclasses.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from limitpoint import optimizers
from limitpoint.engines import integrands
from limitpoint.optimizers import Rule
from limitpoint.optimizers.steepest_descent import polar_factor
from limitpoint.optimizers.stochastic import Stochastic
from limitpoint.problems import losses, models
from limitpoint.problems.problem import Problem

KERNELS = "limitpoint.engines.cpu.kernels"
Number = float | Tensor
#: What the polar factor of a momentum is truncated at, unless told otherwise.
RANK_TOLERANCE = inspect.signature(polar_factor).parameters["rank_tolerance"].default


def _nothing(_: Any) -> tuple[Number, ...]:
    return ()


def _one(rule: Rule, problem: Problem) -> int:
    return 1


def _two(rule: Rule, problem: Problem) -> int:
    return 2


@dataclass(frozen=True)
class ModelUnits:
    """Compiled model: functions `{name}_predict` and `{name}_pullback`.

    Args:
        name: of the functions.
        transposed: whether X comes with an input a row, (d, n), instead of an example a row.
        ascends: whether there are `{name}_ascended` and `{name}_descended` as well, which spare
            1-SAM to write down a point for each example.
    """

    name: str
    transposed: bool = False
    ascends: bool = False
    module: str = f"{KERNELS}.models"


@dataclass(frozen=True)
class LossUnits:
    """Compiled loss: functions `{name}_slopes` and `{name}_values`.

    Args:
        name: of the functions.
        shape: the loss's own parameter, if it has one.
    """

    name: str
    shape: Callable[[Any], float] = lambda loss: 0.0
    module: str = f"{KERNELS}.losses"


@dataclass(frozen=True)
class RuleUnit:
    """Compiled rule: a function of that name.

    Args:
        name: of the function.
        settings: the rule's numbers, each one for all problems or one a problem.
        memory: values kept between steps.
        work: values that a step needs room for.
        matrices: whether the parameter has to be a matrix.
    """

    name: str
    settings: Callable[[Any], tuple[Number, ...]] = _nothing
    memory: int = 0
    work: Callable[[Any, Problem], int] = _one
    matrices: bool = False
    module: str = f"{KERNELS}.rules"


@dataclass(frozen=True)
class IntegrandUnit:
    """Compiled integrand: a function of that name.

    Args:
        name: of the function.
        fits: whether the integrand is about the problem that is run.
        settings: its numbers.
    """

    name: str
    fits: Callable[[Any, Problem], bool]
    settings: Callable[[Any], tuple[float, ...]] = lambda integrand: ()
    module: str = f"{KERNELS}.integrands"


MODELS: Mapping[type, ModelUnits] = {
    models.Linear: ModelUnits("linear"),
    models.MulticlassLinear: ModelUnits("multiclass", transposed=True),
    models.DiagonalDifference: ModelUnits("difference", ascends=True),
    models.DiagonalProduct: ModelUnits("product"),
    models.ReluNetwork: ModelUnits("relu"),
}

LOSSES: Mapping[type, LossUnits] = {
    losses.Squared: LossUnits("squared"),
    losses.PseudoHuber: LossUnits("pseudo_huber", lambda loss: loss.delta),
    losses.LogCosh: LossUnits("log_cosh"),
    losses.Logistic: LossUnits("logistic"),
    losses.Exponential: LossUnits("exponential"),
    losses.Probit: LossUnits("probit"),
    losses.CrossEntropy: LossUnits("cross_entropy"),
    losses.MulticlassExponential: LossUnits("multiclass_exponential"),
    losses.PairLogLoss: LossUnits("pair_log"),
}


def _radius(rule: Any) -> tuple[Number, ...]:
    return (rule.rho,)


def _adam(rule: optimizers.Adam) -> tuple[Number, ...]:
    return rule.beta1, rule.beta2, rule.epsilon, float(rule.bias_correction), rule.weight_decay


def _batches(rule: optimizers.MSAM, problem: Problem) -> int:
    """One value for the total; a gradient and a point for each batch."""
    return 1 + 2 * (problem.n // rule.batch_size)


def _squares(count: int) -> Callable[[Any, Problem], int]:
    """The gradient, another like it, and `count` matrices of rows x rows."""

    def work(rule: Rule, problem: Problem) -> int:
        rows, d = problem.start.shape[-2:]
        return 2 + count * -(-rows // d)

    return work


def _muon(rule: optimizers.Muon) -> tuple[Number, ...]:
    return rule.beta1, float(rule.iterations or 0), RANK_TOLERANCE


RULES: Mapping[type, RuleUnit] = {
    optimizers.GD: RuleUnit("gd"),
    optimizers.Momentum: RuleUnit("momentum", lambda rule: (rule.momentum,), memory=1),
    optimizers.SteepestDescent: RuleUnit("steepest_descent", lambda rule: (rule.p,)),
    optimizers.SpectralDescent: RuleUnit(
        "spectral_descent", lambda rule: (rule.rank_tolerance,), work=_squares(1), matrices=True
    ),
    optimizers.Muon: RuleUnit("muon", _muon, memory=1, work=_squares(2), matrices=True),
    optimizers.Adam: RuleUnit("adam", _adam, memory=2),
    optimizers.USAM: RuleUnit("usam", _radius, work=_two),
    optimizers.NSAM: RuleUnit("usam", _radius, work=_two),
    optimizers.L2SAM: RuleUnit("l2_sam", _radius, work=_two),
    optimizers.LinfSAM: RuleUnit("linf_sam", _radius, work=_two),
    optimizers.MSAM: RuleUnit(
        "m_sam", lambda rule: (rule.rho, float(rule.batch_size)), work=_batches
    ),
    optimizers.OneSAM: RuleUnit(
        "m_sam", lambda rule: (rule.rho, float(rule.batch_size)), work=_batches
    ),
}

#: Rules around another rule, of which it is the inner one that is looked up.
WRAPPERS = (Stochastic,)

#: Rules that stay with torch, and why.
TORCH_ONLY: Mapping[type, str] = {
    optimizers.Minibatch: "its objective is a sum of plain functions, which are Python's",
}

INTEGRANDS: Mapping[type, IntegrandUnit] = {
    integrands.Loss: IntegrandUnit("loss", lambda integrand, problem: integrand.problem is problem),
}
