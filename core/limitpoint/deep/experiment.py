"""An experiment: problems, horizon and settings that its methods share, at one of two scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from limitpoint.deep.problem import Classification
from limitpoint.optimizers import DeepSGD
from limitpoint.optimizers.schedules import PiecewiseStep, Schedule, StepSize, as_schedule


@dataclass(frozen=True)
class Experiment:
    """What is trained on what, for how long.

    Args:
        train: a stack of runs.
        test: the same stack on other images.
        steps: of training.
        rate: step size at the start.
        weight_decay: lambda.
        settings: of the methods, by name, such as the radius "rho" and "m".
        device: where errors are measured.
        decays: whether the step size does; see `schedule`.
    """

    train: Classification
    test: Classification
    steps: int
    rate: float
    weight_decay: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    decays: bool = True

    @property
    def schedule(self) -> Schedule:
        """The experiment's step sizes."""
        return self.decaying if self.decays else self.constant

    @property
    def constant(self) -> Schedule:
        """The step size of the start, throughout."""
        return StepSize(self.rate)

    @property
    def decaying(self) -> Schedule:
        """The step size, a tenth from half of the steps on, a hundredth from three quarters on."""
        return PiecewiseStep(self.rate, total=self.steps)

    def erm(self, step_size: Schedule | float | None = None) -> DeepSGD:
        """Training without perturbations."""
        return DeepSGD(as_schedule(step_size or self.decaying), **self.common)

    @property
    def common(self) -> dict[str, Any]:
        """What every method has in common besides the step size."""
        return {"weight_decay": self.weight_decay}

    @property
    def sam(self) -> dict[str, Any]:
        """SAM's settings."""
        return {"rho": self.settings["rho"], "m": self.settings["m"], **self.common}

    def test_time(self, problem: Classification, w: Tensor) -> Classification:
        """A problem as it is at test time at w (S, size): with the statistics of training batches.

        It is the problem itself unless the network normalises over examples.
        """
        if not self.train.network.normalises_over_examples:
            return problem
        size = self.train.sampling.size if self.train.sampling else self.train.n
        there = self.train.to(self.device)
        X = there.X[:, : 20 * size].expand(len(w), -1, *there.X.shape[2:])
        batches = torch.split(X, size, 1)
        found = there.network.statistics(w.to(self.device), batches)
        return replace(problem, statistics=found)

    def test_error(self, w: Tensor) -> Tensor:
        """Test error in percent at w (*more, S, size), shape (*more, S)."""
        if w.ndim > 2:
            return torch.stack([self.test_error(v) for v in w])
        there = self.test_time(self.test.to(self.device), w)
        return there.error(w.to(self.device)).cpu()
