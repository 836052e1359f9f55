"""Values and gradients of a batch's elements, as plain tensors for an optimizer of the field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limitpoint.engines.directions import Floats, Kernels, compiled
from limitpoint.errors import Inconclusive
from limitpoint.numerics import Scaled
from limitpoint.problems.problem import Oracle


class PlainOracle:
    """Values and gradients, as they are handed over, of the elements of one batch at step t.

    Args:
        oracle: the problem.
        w: the iterate.
        t: the step.
        kernels: the problem's compiled gradients, or None.
        places: the rows of the batch that each element has; one each, if not given.
        stayed: whether w is where the step before has left each parameter.
    """

    def __init__(
        self,
        oracle: Oracle,
        w: Tensor,
        t: int,
        kernels: Kernels | None = None,
        places: Sequence[Any] | None = None,
        stayed: bool = False,
    ) -> None:
        self.oracle, self.w, self.t, self.stayed = oracle, w.detach().contiguous(), t, stayed
        # A claim that asks for no zero in the first gradient has looked at the defined one.
        self.kernels = kernels if t else None
        self._rows = rows(self.w, oracle.ndim)
        self._places = range(len(self._rows)) if places is None else places
        self._at_w: Tensor | None = None

    def row(self, k: int) -> Tensor:
        """What element k has of w."""
        return self._rows[self._places[k]]

    def gradient(self, k: int, point: Tensor | None = None) -> Tensor:
        """Gradient of element k, the caller's own: at a point, or w."""
        if point is not None and not torch.equal(point, self.row(k)):
            return self._handed(self._moved(k, point))[self._places[k]]
        if self._at_w is None:
            found = self._handed(self.w)
            if len(self._places) == 1 and self.kernels is not None:
                return found[self._places[0]]  # asked for again, it is computed again
            self._at_w = found
        return self._at_w[self._places[k]].clone()

    def value(self, k: int, point: Tensor) -> Tensor:
        """Objective of element k at a point; a scalar."""
        w = self._moved(k, point)
        if self.kernels is not None:
            known = compiled(self.oracle, w.shape, with_log_loss=True)
            if known is not None:
                known.go(w)
                return torch.from_numpy(np.exp(known.integrals[k]))[0]
        with torch.no_grad():
            return self.oracle.value(w).reshape(-1)[k]

    def _moved(self, k: int, point: Tensor) -> Tensor:
        w = self.w.clone()
        rows(w, self.oracle.ndim)[self._places[k]] = point
        return w

    def _handed(self, w: Tensor) -> Tensor:
        """The batch's gradients as plain tensors, shape (elements, *parameter)."""
        if self.kernels is None:
            mantissa, handed = self._defined(w)
            self._check_range(handed, mantissa)
            return rows(torch.from_numpy(handed), self.oracle.ndim)
        handed = np.empty(self._rows.shape)
        least, most = self.kernels.hand(w, handed)
        if not (least > 0 and most < np.inf):
            self._check_range(handed, self.kernels.at(w)[0])
        return torch.from_numpy(handed)

    @torch.no_grad()
    def _defined(self, w: Tensor) -> tuple[Floats, Floats]:
        """Mantissas, and what is handed over, by the problem's own definition."""
        g = self.oracle.grad(w)
        if isinstance(g, Scaled):
            return g.mantissa.numpy(), g.tensor().numpy()
        return g.numpy(), g.clone().numpy()  # an optimizer may write into it

    def _check_range(self, handed: Floats, mantissa: Floats) -> None:
        """Raise Inconclusive where float64, and nobody else, lost an element's gradient."""
        where = f"precision ran out at step {self.t}"
        for own, true in zip(self._each(handed), self._each(mantissa), strict=True):
            if not own.any() and true.any():
                raise Inconclusive(f"{where}: the gradient is below float64's range")
            if np.isfinite(true).all() and not np.isfinite(own).all():
                raise Inconclusive(f"{where}: the gradient is above float64's range")

    def _each(self, values: Floats) -> Floats:
        return values.reshape(len(self._rows), -1)


def shaped(w: Tensor, shape: torch.Size) -> Tensor:
    """In a shape; itself where that is its own, which is quicker than to ask torch for it."""
    return w if w.shape == shape else w.reshape(shape)


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
