"""Sharpness-aware minimisation: the gradient is taken at a point that was moved uphill first."""

from abc import abstractmethod
from copy import copy
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from limitpoint.numerics import Value, mean, ratio, sign, tensor
from limitpoint.optimizers.roles import role
from limitpoint.optimizers.rule import Memoryless
from limitpoint.optimizers.schedules import Schedule
from limitpoint.problems.problem import Oracle


@dataclass(frozen=True, eq=False)
class SharpnessAware(Memoryless):
    """w <- w - eta grad L(w + rho ascent(w)).

    Args:
        rho: radius >= 0 (a tensor broadcasts over the batch).
        radii: a schedule of radii that replaces rho.
    """

    rho: float | Tensor = 0.05
    radii: Schedule | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not bool((torch.as_tensor(self.rho) >= 0).all()):
            raise ValueError(f"invalid rho: {self.rho}; must be >= 0")

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        """One step, with the radius of step t if there is a schedule."""
        return Memoryless.step(self.at(t), oracle, w, state, t)

    def at(self, t: int) -> Self:
        """The rule with the radius of step t."""
        if self.radii is None:
            return self
        found = copy(self)
        object.__setattr__(found, "rho", self.radii.at(t))
        object.__setattr__(found, "radii", None)
        return found

    @abstractmethod
    def ascent(self, oracle: Oracle, w: Tensor) -> Value:
        """Where the perturbation points, per unit of radius."""

    def perturbed(self, oracle: Oracle, w: Tensor) -> Tensor:
        """The point at which the gradient is taken."""
        return w + tensor(self.rho * self.ascent(oracle, w))

    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        """The gradient at the perturbed point."""
        return oracle.grad(self.perturbed(oracle, w))


@role("usam", "w - eta grad L(w + rho g)")
class USAM(SharpnessAware):
    """Unnormalised SAM: ascent along the gradient (usam_report Sec. 3, (3) with its bracket)."""

    def ascent(self, oracle: Oracle, w: Tensor) -> Value:
        """The gradient."""
        return oracle.grad(w)


@role("n-sam", "usam on the whole batch, or one minibatch each for ascent and descent")
class NSAM(USAM):
    """Full-batch SAM without normalisation, n-SAM (understanding_sam (8), (20)): USAM's rule."""


@role("sam-l2", "w - eta grad L(w + rho g / ||g||_2)")
class L2SAM(SharpnessAware):
    """SAM (Foret et al. 2021): ascent along grad L / ||grad L||_2."""

    def ascent(self, oracle: Oracle, w: Tensor) -> Tensor:
        """The unit gradient; zero where the gradient is."""
        g = oracle.grad(w)
        return ratio(g, oracle.norm(g, 2))


@role("sam-linf", "w - eta grad L(w + rho sign(g))")
class LinfSAM(SharpnessAware):
    """SAM in the max-norm: ascent along sign(grad L) (minor_first, Sec. 3)."""

    def ascent(self, oracle: Oracle, w: Tensor) -> Tensor:
        """The sign of the gradient."""
        return sign(oracle.grad(w))


@role("m-sam", "usam for each batch of m examples by itself, averaged")
@dataclass(frozen=True, eq=False)
class MSAM(SharpnessAware):
    """m-SAM: each batch of m consecutive examples has its own perturbation (understanding_sam (2)).

    The examples' gradients, each at its batch's perturbed point, are averaged over all n.

    Args:
        batch_size: m; divides n.
    """

    batch_size: int = 1

    def ascent(self, oracle: Oracle, w: Tensor) -> Value:
        """The batches' gradients, shape (*batch, n/m, *parameter)."""
        return oracle.sharpness_batches(self.batch_size).grad(w.unsqueeze(-oracle.ndim - 1))

    def perturbed(self, oracle: Oracle, w: Tensor) -> Tensor:
        """One point a batch, shape (*batch, n/m, *parameter)."""
        rho = self.rho
        if isinstance(rho, Tensor) and rho.ndim > oracle.ndim:
            rho = rho.unsqueeze(-oracle.ndim - 1)
        return w.unsqueeze(-oracle.ndim - 1) + tensor(rho * self.ascent(oracle, w))

    def direction(self, oracle: Oracle, w: Tensor) -> Value:
        """Mean (sum, for a sum loss) over the batches of the gradient at the batch's point."""
        batches = oracle.sharpness_batches(self.batch_size)
        average = mean(batches.grad(self.perturbed(oracle, w)), -oracle.ndim - 1)
        return average * oracle.batch_weight(self.batch_size)


@role("1-sam", "m-sam with m = 1")
class OneSAM(MSAM):
    """1-SAM: every example has its own perturbation (understanding_sam (8), (11))."""
