"""How an optimizer is handed its parameter, and called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor


def _module(parameter: torch.nn.Parameter) -> torch.nn.Module:
    holder = torch.nn.Module()
    holder.register_parameter("weight", parameter)
    return holder


#: How a constructor is given the one parameter, in the order in which it is tried.
FORMS: Mapping[str, Callable[[torch.nn.Parameter], Any]] = {
    "": lambda p: [p],
    "a named parameter": lambda p: [("weight", p)],
    "a module": _module,
    "a group for Muon": lambda p: [{"params": [p], "use_muon": True}],
}


@dataclass(frozen=True)
class Manner:
    """How an optimizer is called.

    Args:
        form: a key of `FORMS`.
        as_matrix: the parameter is (1, d) or (first, rest).
        closure: `step` is given one, even where it may be left out.
    """

    form: str = ""
    as_matrix: bool = False
    closure: bool = False

    def shown(self, w: Tensor) -> Tensor:
        """A parameter as the optimizer has it."""
        if not self.as_matrix:
            return w
        return w.reshape(1, -1) if w.ndim < 2 else w.flatten(1)

    def __str__(self) -> str:
        said = [self.form, "a matrix" * self.as_matrix, "a closure" * self.closure]
        return ", ".join(filter(None, said))


#: One gradient, the parameter as it is, and nothing else.
PLAIN = Manner()
#: The plainest first.
MANNERS = [
    Manner(form, as_matrix, closure)
    for form, closure, as_matrix in product(FORMS, (False, True), (False, True))
]
