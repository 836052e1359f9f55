"""What an update rule is: a state, and a step over a gradient oracle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from limitpoint.numerics import Value, tensor
from limitpoint.optimizers.schedules import Schedule, StepSize, as_schedule
from limitpoint.problems.problem import Oracle

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Rule(ABC):
    """An update rule w_{t+1} = step(w_t). The torch form is the definition.

    Args:
        step_size: a schedule, or a number for a constant step.
    """

    step_size: Schedule = field(default=StepSize(1.0))

    def __post_init__(self) -> None:
        object.__setattr__(self, "step_size", as_schedule(self.step_size))

    def init(self, oracle: Oracle, w: Tensor) -> Any:
        """State before the first step; None for a rule without memory."""
        return None

    @abstractmethod
    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        """Iterate and state after step t = 0, 1, ..."""

    @property
    def name(self) -> str:
        """What the ledger calls it."""
        return type(self).__name__

    # What it really runs with, so that a claim need not ask what kind of rule plays the role.

    @property
    def settings(self) -> Mapping[str, Any]:
        """All but the step size, by name: its fields, and those of a rule that it is around.

        What it was told instead wins: `limitpoint.rivals` sets that.
        """
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        inner = own.pop("rule", None)
        del own["step_size"]
        around = inner.settings if isinstance(inner, Rule) else {}
        return {**own, **around, **vars(self).get("told", {})}

    @property
    def precision(self) -> str:
        """What its moments live in: "scaled" arithmetic, or plain "float64"."""
        inner = getattr(self, "rule", None)
        return inner.precision if isinstance(inner, Rule) else "scaled"

    @property
    def notes(self) -> Sequence[str]:
        """What is to be said of how it was run."""
        inner = getattr(self, "rule", None)
        return inner.notes if isinstance(inner, Rule) else ()

    @property
    def is_foreign(self) -> bool:
        """Whether it is, or is around, somebody else's code, whose steps are taken `apart`."""
        inner = getattr(self, "rule", None)
        return isinstance(inner, Rule) and inner.is_foreign

    def apart(
        self,
        work: Callable[[], Arrays],
        oracle: Oracle,
        start: Tensor,
        watch: Callable[[int], None] | None = None,
    ) -> Arrays:
        """What a run comes to; that of a foreign rule is made in a process of its own.

        Args:
            work: the run.
            oracle: what its first step sees.
            start: w_0.
            watch: called with the step now and then.
        """
        inner = getattr(self, "rule", None)
        return inner.apart(work, oracle, start, watch) if isinstance(inner, Rule) else work()


class Memoryless(Rule):
    """A rule w_{t+1} = w_t - eta_t direction(w_t); the same field gives its flow."""

    @abstractmethod
    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        """What is subtracted, per unit of step size."""

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        """One step along the direction."""
        return w - tensor(self.step_size.at(t) * self.direction(oracle, w)), None


def check_range(
    name: str, value: float | Tensor, low: float, high: float, *, open_high: bool = True
) -> None:
    """Raise ValueError, naming the argument and its range, unless low <= value < (<=) high."""
    for one in value.reshape(-1).tolist() if isinstance(value, Tensor) else [value]:
        if not (low <= one < high or (not open_high and one == high)):
            bracket = ")" if open_high else "]"
            raise ValueError(f"invalid {name}: {one}; must be in [{low}, {high}{bracket}")
