"""What a constructor takes, and a claim's settings under the names that the field has for them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, get_type_hints

from limitpoint.optimizers import Adam, Rule

_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Accepted:
    """The named arguments of a callable.

    Args:
        defaults: by name; `Parameter.empty` where there is none.
        anything: it takes `**kwargs` as well, or cannot be inspected.
    """

    defaults: Mapping[str, Any]
    anything: bool

    @classmethod
    def by(cls, call: Callable[..., Any], skip: int = 0) -> Accepted:
        """What a callable takes beyond its first `skip` arguments."""
        try:
            parameters = list(inspect.signature(call).parameters.values())
        except (TypeError, ValueError):  # built-in, without a signature
            return cls({}, True)
        named = {p.name: p.default for p in parameters[skip:] if p.kind in _NAMED}
        return cls(named, any(p.kind is Parameter.VAR_KEYWORD for p in parameters))

    def required(self) -> list[str]:
        """Names without a default."""
        return [name for name, default in self.defaults.items() if default is Parameter.empty]

    def unknown(self, names: Mapping[str, Any]) -> list[str]:
        """Which of the names it would not take."""
        return [] if self.anything else [name for name in names if name not in self.defaults]

    def fits(self, name: str, value: Any) -> bool:
        """Whether it has an argument of that name, and not one of another shape.

        Adafactor's eps is a pair and Adan's betas are three: a claim's do not mean those.
        """
        if name not in self.defaults:
            return False
        default = self.defaults[name]
        return not isinstance(default, tuple | list) or (
            isinstance(value, tuple) and len(value) == len(default)
        )

    def filtered(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that fit."""
        return {name: value for name, value in settings.items() if self.fits(name, value)}

    def joined(self, other: Accepted) -> Accepted:
        """What is taken by this, or handed on to the other through `**kwargs`."""
        return Accepted({**other.defaults, **self.defaults}, other.anything)


def field_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A claim's settings under their own names and under those of `torch.optim`.

    Args:
        settings: by limitpoint's names, such as beta1, epsilon, rho, momentum.

    Returns:
        The same, plus betas and eps where their parts are there, and momentum for a beta1 alone.
    """
    names = dict(settings)
    if "beta1" in settings and "beta2" not in settings:
        names.setdefault("momentum", settings["beta1"])
    if "beta1" in settings or "beta2" in settings:
        beta1, beta2 = settings.get("beta1", Adam.beta1), settings.get("beta2", Adam.beta2)
        names["betas"] = (beta1, beta2)
    if "epsilon" in settings:
        names["eps"] = settings["epsilon"]
    return names


def own_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `field_names`: a constructor's arguments under limitpoint's names.

    Returns:
        The same, with betas in their parts, eps as epsilon, and without the step size.
    """
    names = {name: value for name, value in settings.items() if name not in ("lr", *_FIELD_NAMES)}
    for name, own in _FIELD_NAMES.items():
        if name in settings:
            values = settings[name]
            parts = values if isinstance(values, tuple | list) else (values,)
            names |= dict(zip(own, parts, strict=True)) if len(parts) == len(own) else {}
    return names


_FIELD_NAMES = {"betas": ("beta1", "beta2"), "eps": ("epsilon",)}


def makes_rule(call: Callable[..., Any]) -> bool:
    """Whether a callable is a limitpoint rule's class or factory, not a torch optimizer's."""
    if isinstance(call, type):
        return issubclass(call, Rule)
    try:
        returned = get_type_hints(call).get("return")
    except Exception:  # annotations that name what is not there
        returned = None
    if isinstance(returned, type) and issubclass(returned, Rule):
        return True
    try:
        parameters = list(inspect.signature(call).parameters.values())
    except (TypeError, ValueError):
        return False
    return not parameters or parameters[0].name == "step_size" or _no_positional(parameters[0])


def _no_positional(parameter: Parameter) -> bool:
    return parameter.kind in (Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD)
