"""What a rule keeps between steps, taken apart into values and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from limitpoint.engines.trace.graph import NotTraceable
from limitpoint.engines.trace.symbols import Symbol
from limitpoint.numerics import Scaled

Leaf = Tensor | Scaled | Symbol | float


def leaves(state: Any) -> list[Leaf]:
    """The values in a state, in order."""
    return list(_leaves(state))


def _leaves(state: Any) -> Iterator[Leaf]:
    if isinstance(state, tuple | list):
        for part in state:
            yield from _leaves(part)
    elif isinstance(state, dict):
        for part in state.values():
            yield from _leaves(part)
    elif isinstance(state, Tensor | Scaled | Symbol | float | int):
        yield state
    elif state is not None:
        raise NotTraceable(f"a state with a {type(state).__name__}")


def replaced(state: Any, put: Callable[[Leaf], Any]) -> Any:
    """A state of the same form with other values."""
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        return type(state)(*(replaced(part, put) for part in state))
    if isinstance(state, tuple | list):
        return type(state)(replaced(part, put) for part in state)
    if isinstance(state, dict):
        return {key: replaced(part, put) for key, part in state.items()}
    return None if state is None else put(state)


def form(state: Any) -> str:
    """What two states have in common that differ in values alone."""
    return repr(replaced(state, lambda leaf: "scaled" if isinstance(leaf, Scaled) else "plain"))
