"""Devices: which there are, and how a run is brought to one and back."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from limitpoint.engines.integrands import Loss
from limitpoint.errors import UsageError
from limitpoint.optimizers import Rule
from limitpoint.optimizers.schedules import Schedule
from limitpoint.problems.problem import Objective, Oracle

DEVICES = ("cpu", "cuda")
#: What is moved by moving everything it is made of.
MADE_OF_PARTS = (Oracle, Rule, Schedule, Loss)


def check_device(device: str) -> None:
    """Raise UsageError unless the device is one of `DEVICES` and is there."""
    if device not in DEVICES:
        raise UsageError(f"unknown device {device!r}: one of {', '.join(DEVICES)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device is available here: use --device cpu")


class Move:
    """Brings problems, rules and integrands to a device; what two of them share stays shared.

    Tensors move, wherever they are: in a problem, in a rule's settings, in a schedule. A plain
    function cannot be looked into, so it goes on being called with the iterate on the device it was
    made for (`Objective`, integrands).

    Args:
        home: where the tensors are.
        device: where they go.
    """

    def __init__(self, home: torch.device, device: torch.device) -> None:
        self.home, self.device = home, device
        self.moved: dict[int, Any] = {}

    def __call__(self, value: Any) -> Any:
        """The value on the device, or the value itself if nothing in it has to move."""
        if isinstance(value, Tensor):
            return value.to(self.device)
        if not isinstance(value, MADE_OF_PARTS):
            return value
        if id(value) not in self.moved:
            self.moved[id(value)] = self._parts(value)
        return self.moved[id(value)]

    def _parts(self, value: Any) -> Any:
        found = copy.copy(value)
        for name, part in vars(value).items():
            plain = isinstance(value, Objective) and name in ("function", "gradient")
            # Rules and problems are frozen dataclasses.
            object.__setattr__(found, name, self.integrand(part) if plain else self(part))
        return found

    def integrand(self, function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """A function of the iterate, for iterates on the device."""
        if isinstance(function, MADE_OF_PARTS):
            moved: Callable[[Tensor], Tensor] = self(function)
            return moved
        return lambda w: function(w.to(self.home)).to(self.device)
