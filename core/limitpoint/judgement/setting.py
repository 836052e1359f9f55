"""How claims are run: everything that is neither the claim's own nor the contestant's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HORIZONS = ("quick", "full")


@dataclass(frozen=True)
class Setting:
    """How claims are run.

    Args:
        seed: of the data.
        horizon: "quick" or "full".
        engine: see `limitpoint.run`.
        device: "cpu" or "cuda".
        watch: called with (step, steps) while a run goes on.
        cifar10: the user's copy of CIFAR-10, or None for stand-ins.
        checkpoints: folder in which long runs keep their state, or None.
    """

    seed: int = 42
    horizon: str = "quick"
    engine: str = "auto"
    device: str = "cpu"
    watch: Callable[[int, int], None] | None = None
    cifar10: Path | None = None
    checkpoints: Path | None = None
