"""Values and gradients of a batch's elements, as plain tensors for an optimizer of the field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limitpoint.engines.directions import Floats, Kernels, plain, times_exp
from limitpoint.errors import Inconclusive
from limitpoint.numerics import Scaled, exp
from limitpoint.problems.problem import Oracle, Problem


class PlainOracle:
    """Values and gradients, as they are handed over, of the elements of one batch at step t.

    Args:
        oracle: the problem.
        w: the iterate.
        log_loss_scale: what is handed over is exp(log_loss_scale) times the true one.
        t: the step.
        kernels: the problem's compiled gradients, or None.
        places: the rows of the batch that each element has; one each, if not given.
    """

    def __init__(
        self,
        oracle: Oracle,
        w: Tensor,
        log_loss_scale: float,
        t: int,
        kernels: Kernels | None = None,
        places: Sequence[Any] | None = None,
    ) -> None:
        self.oracle, self.w, self.t = oracle, w.detach().contiguous(), t
        self.log_loss_scale = log_loss_scale
        # A claim that asks for no zero in the first gradient has looked at the defined one.
        self.kernels = kernels if t else None
        self._rows = rows(self.w, oracle.ndim)
        self._places = range(len(self._rows)) if places is None else places
        self._at_w: Tensor | None = None

    def row(self, k: int) -> Tensor:
        """What element k has of w."""
        return self._rows[self._places[k]]

    def gradient(self, k: int, point: Tensor | None = None) -> Tensor:
        """Gradient of element k, times exp(log_loss_scale), the caller's own: at a point, or w."""
        if point is not None and not torch.equal(point, self.row(k)):
            return self._handed(self._moved(k, point))[self._places[k]]
        if self._at_w is None:
            self._at_w = self._handed(self.w)
        return self._at_w[self._places[k]].clone()

    def value(self, k: int, point: Tensor) -> Tensor:
        """Objective of element k at a point, times exp(log_loss_scale); a scalar."""
        with torch.no_grad():
            w = self._moved(k, point)
            if self.log_loss_scale and isinstance(self.oracle, Problem):
                value = torch.exp(self.oracle.log_value(w) + self.log_loss_scale)
            else:
                value = self.oracle.value(w) * self._factor(w)
            return value.reshape(-1)[k]

    def _moved(self, k: int, point: Tensor) -> Tensor:
        w = self.w.clone()
        rows(w, self.oracle.ndim)[self._places[k]] = point
        return w

    def _factor(self, w: Tensor) -> Tensor:
        return torch.exp(w.new_tensor(self.log_loss_scale))

    def _handed(self, w: Tensor) -> Tensor:
        """The batch's gradients as plain tensors, shape (elements, *parameter)."""
        true, handed = self._defined(w) if self.kernels is None else self._computed(self.kernels, w)
        largest = np.abs(handed.reshape(len(self._rows), -1)).max(1)
        gradients = rows(torch.from_numpy(handed), self.oracle.ndim)
        if not (largest.min() > 0 and largest.max() < np.inf):
            for own, mantissa in zip(gradients, true.reshape(gradients.shape), strict=True):
                _check_range(own.numpy(), mantissa, self.t)
        return gradients

    def _computed(self, kernels: Kernels, w: Tensor) -> tuple[Floats, Floats]:
        """Mantissa, and what is handed over, by compiled kernels."""
        mantissa, exponent = kernels.at(w)
        if self.log_loss_scale:
            mantissa, exponent = times_exp(mantissa, exponent, self.log_loss_scale)
        return mantissa, plain(mantissa, exponent)

    @torch.no_grad()
    def _defined(self, w: Tensor) -> tuple[Floats, Floats]:
        """The same by the problem's own definition."""
        g = self.oracle.grad(w)
        if isinstance(g, Scaled):
            handed = (g * exp(w.new_tensor(self.log_loss_scale))).tensor()
            return g.mantissa.numpy(), handed.numpy()
        return g.numpy(), (g * self._factor(w)).numpy()


def _check_range(handed: Floats, mantissa: Floats, t: int) -> None:
    """Raise Inconclusive where float64, and nobody else, lost the gradient."""
    if not handed.any() and mantissa.any():
        raise Inconclusive(f"precision ran out at step {t}: the gradient is below float64's range")
    if np.isfinite(mantissa).all() and not np.isfinite(handed).all():
        raise Inconclusive(f"precision ran out at step {t}: the gradient is above float64's range")


def rows(w: Tensor, ndim: int) -> Tensor:
    """One row a batch element: (*batch, *parameter) -> (elements, *parameter); a view."""
    return w.reshape(-1, *w.shape[w.ndim - ndim :])


def entries(value: float | Tensor, w: Tensor, ndim: int) -> list[float]:
    """What each batch element gets of a number, or of a tensor that broadcasts over the batch."""
    batch = w.shape[: w.ndim - ndim]
    if isinstance(value, float):
        return [value] * batch.numel()
    entries = torch.as_tensor(value, dtype=w.dtype).broadcast_to(*batch, *(1,) * ndim)
    return entries.reshape(-1).tolist()
