"""Registering rivals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from limitpoint.optimizers import Rule
from limitpoint.roles import Factory
from limitpoint.schedules import StepSize


@dataclass(frozen=True)
class Rival:
    """A wrong implementation: its name, what is wrong with it, and how to build it."""

    name: str
    fault: str
    factory: Factory


_RIVALS: dict[str, Rival] = {}
RIVALS: Mapping[str, Rival] = MappingProxyType(_RIVALS)


def rival(name: str, fault: str) -> Callable[[Factory], Factory]:
    """Register a factory as a rival."""

    def register(factory: Factory) -> Factory:
        if name in _RIVALS:
            raise ValueError(f"rival {name!r} is registered twice")
        _RIVALS[name] = Rival(name, fault, factory)
        return factory

    return register


def build(rule: type[Rule], step_size: StepSize, settings: Mapping[str, Any], **wrong: Any) -> Rule:
    """A rule with the settings that it knows, and with what is wrong put over them."""
    known = {field.name for field in fields(rule)}
    taken = {name: value for name, value in settings.items() if name in known}
    return rule(**{"step_size": step_size, **taken, **wrong})


def plain(name: str, fault: str, rule: type[Rule], **wrong: Any) -> None:
    """Register a right rule in the wrong place, or one with a wrong setting."""

    @rival(name, fault)
    def factory(step_size: StepSize, **settings: Any) -> Rule:
        return build(rule, step_size, settings, **wrong)
