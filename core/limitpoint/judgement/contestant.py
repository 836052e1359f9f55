"""Contestants: who plays a role in a claim, as far as judging them goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from limitpoint.optimizers import Rule
from limitpoint.optimizers.roles import ROLES, Factory
from limitpoint.optimizers.schedules import Schedule
from limitpoint.subjects import UNLIMITED, Limits


class Contestant(Protocol):
    """Who plays a role: a `Subject` is one; limitpoint's own rules and its rivals are `House`."""

    @property
    def role(self) -> str:
        """Whose place it takes, such as "adam"."""

    @property
    def spec(self) -> str:
        """What the command line calls it; "" for limitpoint's own."""

    @property
    def limits(self) -> Limits:
        """What it may take in one run."""

    def rule(self, step_size: Schedule, **settings: Any) -> Rule:
        """Its rule, with the theorem's schedule and those of the theorem's settings that it knows.

        Args:
            step_size: the schedule.
            settings: by limitpoint's names.
        """


@dataclass(frozen=True)
class House:
    """A rule of limitpoint's own, right or wrong: it knows every setting of its role.

    Args:
        role: whose place it takes.
        factory: of the rule.
    """

    role: str
    factory: Factory
    spec: str = ""
    limits: Limits = UNLIMITED

    def rule(self, step_size: Schedule, **settings: Any) -> Rule:
        """See `Contestant`."""
        return self.factory(step_size=step_size, **settings)


def house(role: str) -> House:
    """The role's own rule."""
    return House(role, ROLES[role])
