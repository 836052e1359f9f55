"""The roles that claims are about: each rule says where it stands which one it plays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from limitpoint.optimizers.rule import Rule

Factory = Callable[..., Rule]
Made = TypeVar("Made", bound=Callable[..., Any])

_ROLES: dict[str, Factory] = {}
#: The rule of each role, as a factory `(step_size, **settings) -> Rule`.
ROLES: Mapping[str, Factory] = MappingProxyType(_ROLES)


def role(name: str, formula: str) -> Callable[[Made], Made]:
    """Register a rule, or a factory, as limitpoint's own in a role.

    Args:
        name: of the role; claims and `--subject` refer to it.
        formula: the step, in a line. A literal: the command line reads it without loading torch.
    """

    def register(made: Made) -> Made:
        if name in _ROLES:
            raise ValueError(f"role {name!r} is registered twice")
        _ROLES[name] = made
        return made

    return register
