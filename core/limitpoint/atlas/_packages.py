"""Which optimizers the packages have that are installed here."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

import torch

from limitpoint.errors import SubjectFailed
from limitpoint.subjects import USUAL, makes_transformation, told_apart


@dataclass(frozen=True)
class Package:
    """A module that has optimizers.

    Args:
        module: that has them by name.
        distribution: what is installed.
    """

    module: str
    distribution: str

    @property
    def version(self) -> str:
        """Of what is installed; "" if it is not."""
        try:
            return version(self.distribution)
        except PackageNotFoundError:
            return ""


PACKAGES = (
    Package("torch.optim", "torch"),
    Package("pytorch_optimizer", "pytorch-optimizer"),
    Package("timm.optim", "timm"),
    Package("schedulefree", "schedulefree"),
    Package("prodigyopt", "prodigyopt"),
    Package("lion_pytorch", "lion-pytorch"),
    Package("muon", "muon-optimizer"),
    Package("adam_mini", "adam-mini"),
    Package("heavyball", "heavyball"),
    Package("optimi", "torch-optimi"),
    Package("optax", "optax"),
    Package("optax.contrib", "optax"),
)


def candidates(package: Package) -> list[str]:
    """The targets of its optimizers, by a process of its own: an import may do anything.

    Raises:
        SubjectFailed, Inconclusive: it could not be imported.
    """

    def found() -> list[str]:
        try:
            return list(_optimizers(import_module(package.module)))
        except Exception as exc:
            raise SubjectFailed(f"raised {type(exc).__name__}: {exc}") from exc

    return [f"{package.module}:{name}" for name in told_apart(found, list[str], USUAL)]


def _optimizers(module: ModuleType) -> Iterator[str]:
    for name, value in sorted(vars(module).items()):
        if not name.startswith("_") and _is_optimizer(value):
            yield name


def _is_optimizer(value: object) -> bool:
    if isinstance(value, type):
        return issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer
    return inspect.isfunction(value) and _is_whole(value)


def _is_whole(function: Any) -> bool:
    """Whether it makes a transformation that ends in a step, not a part of one."""
    takes = inspect.signature(function).parameters
    part = function.__name__.startswith("scale_by")
    return makes_transformation(function) and "learning_rate" in takes and not part
