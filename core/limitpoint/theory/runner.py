"""What theory asks of a claim's trial: to play a role, and to run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from limitpoint.engines.trajectory import Trajectory
from limitpoint.optimizers import Rule
from limitpoint.problems.problem import Oracle


class Runner(Protocol):
    """A claim's trial, as far as it runs rules."""

    @property
    def seed(self) -> int:
        """Seed of the data."""

    @property
    def engine(self) -> str:
        """The engine asked for; see `limitpoint.run`."""

    def steps(self, quick: int, full: int) -> int:
        """The horizon in steps."""

    def optimizer(self, role: str, step_size: Any = 1.0, **settings: Any) -> Rule:
        """Who plays a role."""

    def run(self, oracle: Oracle, rule: Rule, steps: int, **options: Any) -> Trajectory:
        """See `limitpoint.run`."""

    def flow(
        self, oracle: Oracle, rule: Rule, times: Iterable[float], **options: Any
    ) -> Trajectory:
        """See `limitpoint.flow`."""
