"""Where a law is looked at: a class as it is, with all its switches on, on what is no matrix."""

from __future__ import annotations

from typing import NamedTuple

from limitpoint.laws.field import Field, field
from limitpoint.laws.implementation import Implementation
from limitpoint.laws.network import Network
from limitpoint.laws.options import variants
from limitpoint.laws.structure import Structure, near

#: A start that is another one by rounding.
ULPS = 2.0**-50

#: What is switched on, in this order, as far as it goes together.
SWITCHES = (
    "momentum", "nesterov", "dampening", "weight_decay", "amsgrad", "centered", "maximize",
    "decoupled_weight_decay", "adaptive", "lr_decay",
)  # fmt: skip


class Situation(NamedTuple):
    """An implementation on a problem.

    Args:
        title: what is special about it, "" for a class as it is.
        optimizer: whose law it is.
        problem: two tensors.
    """

    title: str
    optimizer: Implementation
    problem: Field


def configurations(usual: Implementation, seed: int) -> list[Situation]:
    """As it is, and with all switches on where that is something else; gradients fall there."""
    pair = field(seed)
    on = switched_on(usual, pair)
    found = [Situation("", usual, pair)]
    if on:
        # Falling gradients, where AMSGrad's maximum is felt.
        falls = pair.fading() if "amsgrad" in on and usual.declares("amsgrad") else pair
        found.append(Situation(f", with {', '.join(on)}", usual.having(**on), falls))
    return found


def paces(usual: Implementation, problem: Field | Network) -> dict[str, Implementation]:
    """As it is, and awake, by name; that only where rounding of the start stays rounding."""
    awake = usual.awake
    if awake is None:
        return {"": usual}
    moved = problem.moved(problem.start * (1 + ULPS))
    one, other = (awake.tried(each) for each in (problem, moved))
    if one is None or other is None or not near(other, one):
        return {"": usual}
    return {"": usual, f", lr = {awake.step_size:g}": awake}


def situations(usual: Implementation, seed: int, *, awake: bool = False) -> list[Situation]:
    """Where a fault may hide: the configurations, and two vectors for what sees matrices.

    Args:
        usual: as it is.
        seed: of the field.
        awake: with its paces, where the law does not ask how its parameters depend on one another:
            once it is awake they all may, by what it estimates.
    """
    found, pair = configurations(usual, seed), field(seed)
    if awake:
        found += [Situation(title, own, pair) for title, own in paces(usual, pair).items() if title]
    vectors = pair.shaped(*((one.ndim,) for one in (pair.alone(0), pair.alone(1))))
    if not Structure(usual, seed).entrywise and usual.accepts(vectors):
        found.append(Situation(", vectors", usual, vectors))
    return found


def one_by_one(usual: Implementation, seed: int) -> list[Situation]:
    """Each switch of its own on by itself, where it is not as it is; not those of a base."""
    found = []
    for option, values in variants(usual).items():
        switched = usual.having(**{option.name: values[0]}) if values else usual
        judged = values and option.name in SWITCHES and usual.declares(option.name)
        if judged and switched.tried(field(seed)) is not None:
            found.append(Situation(f", with {option.name}", switched, field(seed)))
    return found


def switched_on(usual: Implementation, problem: Field) -> dict[str, object]:
    """The switches that a class has, and takes together, for a dozen steps: uphill is far."""
    values = {option.name: values for option, values in variants(usual).items()}
    on: dict[str, object] = {}
    for name in SWITCHES:
        for value in values.get(name, ())[:1]:
            if usual.having(**on, **{name: value}).tried(problem) is not None:
                on[name] = value
    return on
