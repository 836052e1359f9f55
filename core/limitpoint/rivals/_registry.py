"""Registering rivals where they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

from limitpoint.judgement.contestant import Contestant, House
from limitpoint.optimizers import Rule
from limitpoint.optimizers.roles import ROLES, Factory
from limitpoint.optimizers.schedules import Schedule
from limitpoint.subjects import Subject

Made = TypeVar("Made", bound=Callable[..., Any])


@dataclass(frozen=True)
class Rival:
    """A wrong implementation. It plays the roles in which claims name it.

    Args:
        name: stable; claims refer to it.
        fault: the one thing that is wrong.
        contestant: the rival in a role.
        twin: of a class of torch's kind: the same without the fault.
    """

    name: str
    fault: str
    contestant: Callable[[str], Contestant]
    twin: Callable[[str], Contestant] | None = None


_RIVALS: dict[str, Rival] = {}
RIVALS: Mapping[str, Rival] = MappingProxyType(_RIVALS)


def _add(rival: Rival) -> None:
    if rival.name in _RIVALS:
        raise ValueError(f"rival {rival.name!r} is registered twice")
    _RIVALS[rival.name] = rival


def _register(name: str, fault: str, playing: Callable[[str], Factory]) -> None:
    _add(Rival(name, fault, lambda role: House(role, playing(role))))


def faulty(
    name: str, fault: str, *, twin: Callable[..., Any], **options: Any
) -> Callable[[Made], Made]:
    """Register a class of torch's kind: it plays as somebody's own class would.

    Args:
        name: stable.
        fault: the one thing that is wrong.
        twin: the right class.
        options: of both.
    """

    def register(made: Made) -> Made:
        wrong, right = (partial(_subject, cls, options) for cls in (made, twin))
        _add(Rival(name, fault, wrong, right))
        return made

    return register


def _subject(made: Callable[..., Any], options: Mapping[str, Any], role: str) -> Subject:
    return Subject.from_object(role, made, **options)


def rival(name: str, fault: str, **wrong: Any) -> Callable[[Made], Made]:
    """Register a rule's class, or a factory `(step_size, **settings) -> Rule`.

    Args:
        name: stable.
        fault: the one thing that is wrong.
        wrong: settings of a class that are wrong, whatever the theorem's are.
    """

    def register(made: Made) -> Made:
        def factory(step_size: Schedule, **settings: Any) -> Rule:
            if isinstance(made, type):
                return build(made, step_size, settings, **wrong)
            return _told(made(step_size, **settings), settings)

        _register(name, fault, lambda _: factory)
        return made

    return register


def mutation(name: str, fault: str) -> Callable[[Made], Made]:
    """Register what goes wrong in any rule: in each role it does so to the role's own rule.

    The decorated is a function of a rule, or a class whose `around` is one.
    """

    def register(made: Made) -> Made:
        mutate = getattr(made, "around", made)

        def playing(role: str) -> Factory:
            def factory(step_size: Schedule, **settings: Any) -> Rule:
                right = ROLES[role](step_size=step_size, **settings)
                return _told(mutate(right), right.settings)

            return factory

        _register(name, fault, playing)
        return made

    return register


def build(
    rule: Callable[..., Rule], step_size: Schedule, settings: Mapping[str, Any], **wrong: Any
) -> Rule:
    """A rule with the settings that it knows, and with what is wrong put over them."""
    assert isinstance(rule, type)
    known = {field.name: field.default for field in fields(rule)}
    taken = {name: value for name, value in settings.items() if name in known}
    made: Rule = rule(**{"step_size": step_size, **taken, **wrong})
    return _told(made, {name: known[name] for name in wrong} | dict(settings))


def _told(rule: Rule, settings: Mapping[str, Any]) -> Rule:
    """A rival says what it was told to run with: what it makes of that is its fault."""
    object.__setattr__(rule, "told", settings)  # rules are frozen
    return rule


def detuned(role: str, wrong: Mapping[str, Any]) -> House:
    """A role's own rule that runs with other settings than it is told.

    Args:
        role: whose.
        wrong: the settings, whatever the theorem's are; "step_size" is a factor on its schedule.
    """
    factor = wrong.get("step_size", 1.0)
    others = {name: value for name, value in wrong.items() if name != "step_size"}

    def factory(step_size: Schedule, **settings: Any) -> Rule:
        right = ROLES[role](step_size=step_size, **settings)
        made = ROLES[role](step_size=step_size.times(factor), **{**settings, **others})
        return _told(made, right.settings)

    return House(role, factory)
