"""Values and gradients of a batch's elements, as plain tensors for an optimizer of the field."""

from __future__ import annotations

from copy import copy

import numpy as np
import torch
from torch import Tensor

from limitpoint.engines.directions import Directions, times_exp
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
    """

    def __init__(
        self,
        oracle: Oracle,
        w: Tensor,
        log_loss_scale: float,
        t: int,
        kernels: Directions | None = None,
    ) -> None:
        self.oracle, self.w, self.t = oracle, w.detach().contiguous(), t
        self._is_one = False
        self.log_loss_scale = log_loss_scale
        # A claim that asks for no zero in the first gradient has looked at the defined one.
        self.kernels = kernels if t else None
        self._at_w: Tensor | None = None

    def together(self) -> PlainOracle:
        """The batch as one element, whose parameter has all rows."""
        found = copy(self)
        found._is_one = True
        return found

    def _elements(self, x: Tensor) -> Tensor:
        """One row an element; a view."""
        found = rows(x, self.oracle.ndim)
        return found[None] if self._is_one else found

    def row(self, k: int) -> Tensor:
        """Batch element k of w."""
        return self._elements(self.w)[k]

    def gradient(self, k: int, point: Tensor) -> Tensor:
        """Gradient of element k at a point, times exp(log_loss_scale)."""
        with torch.no_grad():
            if not torch.equal(point, self.row(k)):
                return self._elements(self._handed(self._moved(k, point)))[k]
            if self._at_w is None:
                self._at_w = self._handed(self.w)
            return self._elements(self._at_w)[k]

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
        self._elements(w)[k] = point
        return w

    def _factor(self, w: Tensor) -> Tensor:
        return torch.exp(w.new_tensor(self.log_loss_scale))

    def _handed(self, w: Tensor) -> Tensor:
        """The batch's gradients as plain tensors, shape (elements, *parameter)."""
        if self.kernels is None:
            mantissa, handed = self._defined(w)
        else:
            m, exponent = self.kernels.at(w)
            mantissa, handed = (
                torch.from_numpy(m),
                torch.from_numpy(times_exp(m, exponent, self.log_loss_scale)),
            )
        gradients = rows(handed, self.oracle.ndim)
        largest = np.abs(gradients.numpy().reshape(len(gradients), -1)).max(1)
        if not all(0 < size < np.inf for size in largest.tolist()):
            for given, true in zip(gradients, rows(mantissa, self.oracle.ndim), strict=True):
                _check_range(given, true, self.t)
        return gradients

    def _defined(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Mantissa, and what is handed over, by the problem's own definition."""
        g = self.oracle.grad(w)
        if isinstance(g, Scaled):
            return g.mantissa, (g * exp(w.new_tensor(self.log_loss_scale))).tensor()
        return g, g * self._factor(w)


def _check_range(handed: Tensor, mantissa: Tensor, t: int) -> None:
    """Raise Inconclusive where float64, and nobody else, lost the gradient."""
    if not bool(handed.any()) and bool(mantissa.any()):
        raise Inconclusive(f"precision ran out at step {t}: the gradient is below float64's range")
    if bool(torch.isfinite(mantissa).all()) and not bool(torch.isfinite(handed).all()):
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
