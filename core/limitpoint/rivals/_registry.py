"""Registering rivals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from limitpoint.optimizers import Rule
from limitpoint.optimizers.roles import ROLES, Factory
from limitpoint.optimizers.schedules import Schedule


@dataclass(frozen=True)
class Rival:
    """A wrong implementation.

    Args:
        name: stable; claims refer to it.
        fault: the one thing that is wrong.
        roles: the roles it plays; in each of them some claim refutes it.
        playing: its factory `(step_size, **settings) -> Rule` in one of these roles.
    """

    name: str
    fault: str
    roles: tuple[str, ...]
    playing: Callable[[str], Factory]


_RIVALS: dict[str, Rival] = {}
RIVALS: Mapping[str, Rival] = MappingProxyType(_RIVALS)


def _register(name: str, fault: str, roles: str, playing: Callable[[str], Factory]) -> None:
    if name in _RIVALS:
        raise ValueError(f"rival {name!r} is registered twice")
    found = tuple(roles.split())
    unknown = [role for role in found if role not in ROLES]
    if unknown or not found:
        raise ValueError(f"rival {name!r}: unknown roles {unknown}, of {roles!r}")
    _RIVALS[name] = Rival(name, fault, found, playing)


def rival(name: str, fault: str, roles: str) -> Callable[[Factory], Factory]:
    """Register a factory as a rival in each of the roles, named with spaces between them."""

    def register(factory: Factory) -> Factory:
        _register(name, fault, roles, lambda _: factory)
        return factory

    return register


def build(rule: type[Rule], step_size: Schedule, settings: Mapping[str, Any], **wrong: Any) -> Rule:
    """A rule with the settings that it knows, and with what is wrong put over them."""
    known = {field.name for field in fields(rule)}
    taken = {name: value for name, value in settings.items() if name in known}
    return rule(**{"step_size": step_size, **taken, **wrong})


def plain(name: str, fault: str, roles: str, rule: type[Rule], **wrong: Any) -> None:
    """Register a right rule in the wrong place, or one with a wrong setting."""

    @rival(name, fault, roles)
    def factory(step_size: Schedule, **settings: Any) -> Rule:
        return build(rule, step_size, settings, **wrong)


def mutation(name: str, fault: str, roles: str, mutate: Callable[[Rule], Rule]) -> None:
    """Register what goes wrong in any rule: in each role it does so to the role's own rule."""

    def playing(role: str) -> Factory:
        def factory(step_size: Schedule, *, timeout: Any = None, log_loss_scale: float = 0.0,
                    **settings: Any) -> Rule:  # fmt: skip
            # The two settings for foreign subjects are no settings of a rule.
            return mutate(ROLES[role](step_size=step_size, **settings))

        return factory

    _register(name, fault, roles, playing)
