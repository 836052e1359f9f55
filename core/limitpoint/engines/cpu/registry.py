"""What is compiled by hand: models, whose products are tiles, and integrands.

Rules and losses are traced, whoever wrote them (`limitpoint.engines.trace`). Models are looked up
by exact type: a subclass may do something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from limitpoint.engines import integrands
from limitpoint.problems import models
from limitpoint.problems.problem import Problem

KERNELS = "limitpoint.engines.cpu.kernels"


@dataclass(frozen=True)
class ModelUnits:
    """Compiled model: functions `{name}_predict`, `{name}_pullback` and `{name}_again`.

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


def _is_about(integrand: Any, problem: Problem) -> bool:
    return bool(integrand.problem is problem)


MODELS: Mapping[type, ModelUnits] = {
    models.Linear: ModelUnits("linear"),
    models.MulticlassLinear: ModelUnits("multiclass", transposed=True),
    models.DiagonalDifference: ModelUnits("difference", ascends=True),
    models.DiagonalProduct: ModelUnits("product"),
    models.ReluNetwork: ModelUnits("relu"),
}
INTEGRANDS: Mapping[type, IntegrandUnit] = {
    integrands.Loss: IntegrandUnit("loss", _is_about),
    integrands.LogLoss: IntegrandUnit("log_loss", _is_about),
}
