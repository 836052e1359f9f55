"""The options that the field's optimizers share, and values that must be felt."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import torch

from limitpoint.laws.implementation import Implementation

#: What every class has.
_TORCHS = torch.optim.Optimizer.__mro__


@dataclass(frozen=True, eq=False)
class Option:
    """An option that many classes have under one name.

    Args:
        name: of the argument.
        values: other values, from what it is.
        context: what else has to be set so that it can be felt.
        fading: it is felt only where gradients fall.
    """

    name: str
    values: Callable[[Any], Iterable[Any]]
    context: Mapping[str, Any] = field(default_factory=dict)
    fading: bool = False


def _betas(now: Any) -> Iterable[Any]:
    """Each of them lower, one at a time."""
    for k in range(len(now)):
        yield tuple(beta * (0.6 if j == k else 1.0) for j, beta in enumerate(now))


def _other(*values: Any) -> Callable[[Any], Iterable[Any]]:
    return lambda now: [value for value in values if value != now][:1]


def _factor(*factors: float) -> Callable[[Any], Iterable[Any]]:
    return lambda now: [factor * now for factor in factors]


#: Larger than the norm of all of a field's entries, and than its square: for what is clamped by it.
#: Two dozen entries, each c of at most 2 and a u + u^3 of at most 1 where |u| <= .65: 24 * 9 = 216.
LARGE_EPS = 256.0
#: Without a root RAdam's step is momentum's, which feels no epsilon, and at beta1 = 0 both decays
#: alike.
_ROOT = {"betas": (0.9, 0.999)}
_BALL = {"momentum": 0.9, "nesterov": False, "dampening": 0.0}
OPTIONS = (
    Option("lr", _factor(3.0)),
    Option("momentum", _other(0.5), _BALL),
    Option("dampening", _other(0.5), _BALL),
    Option("nesterov", _other(True), _BALL),
    Option("weight_decay", _other(0.1, 0.2)),
    Option("decoupled_weight_decay", lambda now: [not now], {"weight_decay": 0.1, **_ROOT}),
    # The second far from 1, so that a memory of a dozen steps is one.
    Option("betas", _betas, {"betas": (0.9, 0.7)}),
    Option("eps", _other(LARGE_EPS, 2 * LARGE_EPS), _ROOT),
    Option("maximize", lambda now: [not now]),
    Option("amsgrad", lambda now: [not now], {"betas": (0.5, 0.5)}, fading=True),
    Option("rho", _factor(0.5)),
    Option("adaptive", lambda now: [not now]),
    Option("alpha", _factor(0.5)),
    Option("centered", lambda now: [not now]),
    Option("lr_decay", _other(0.1)),
    Option("lambd", _other(0.1)),
    Option("initial_accumulator_value", _other(0.5)),
    Option("momentum_decay", _other(0.5), {"betas": (0.9, 0.7)}),
)


def variants(implementation: Implementation) -> dict[Option, list[Any]]:
    """Of each shared option that an implementation has, other values of its own kind."""
    has = implementation.defaults
    found: dict[Option, list[Any]] = {}
    for option in OPTIONS:
        now = has.get(option.name)
        if isinstance(now, tuple | list if option.name == "betas" else float | int | bool):
            context = {
                name: v for name, v in option.context.items() if name in has and _fits(v, has[name])
            }
            known = Option(option.name, option.values, context, option.fading)
            usual = context.get(option.name, now)
            found[known] = [value for value in option.values(usual) if value != usual]
    return found


#: How methods are named that a training loop calls to feed the state.
FEEDS = ("update_", "accumulate_", "compute_", "estimate_")


def fed_by_hand(implementation: Implementation) -> str:
    """A method that a training loop has to call beside step, as SophiaG's update_hessian; or "".

    It is named like one, step does not call it, and both have a key of the state in common.
    """
    own = implementation.constructor
    classes = [c for c in own.__mro__ if c not in _TORCHS] if isinstance(own, type) else []
    codes: dict[str, list[CodeType]] = {}
    for name, made in ((name, made) for c in classes for name, made in vars(c).items()):
        code = getattr(inspect.unwrap(made), "__code__", None)
        codes.setdefault(name, []).extend([code] if isinstance(code, CodeType) else [])
    called = _called(codes, "step")
    read = {word for name in called for word in _words(codes[name])}
    read -= {"params", *implementation.defaults}
    return next((name for name, of in codes.items() if name.startswith(FEEDS)
                 and name not in called and any("state" in code.co_names for code in of)
                 and read & _words(of)), "")  # fmt: skip


def _called(codes: Mapping[str, list[CodeType]], first: str) -> set[str]:
    """Methods that one calls, by way of others too, and itself."""
    found, new = set[str](), {first} & set(codes)
    while new:
        found |= new
        new = {word for name in new for code in codes[name] for word in code.co_names}
        new = (new & set(codes)) - found
    return found


def _words(codes: Iterable[CodeType]) -> set[str]:
    return {word for code in codes for word in code.co_consts if isinstance(word, str)}


def _fits(value: Any, now: Any) -> bool:
    """Whether it is of the kind that is there, or nothing is: Adan's betas are three."""
    return now is None or not isinstance(value, tuple) or len(value) == len(now)
