"""Models: a prediction, and the pullback of a slope to the parameters.

Everything broadcasts over leading batch dimensions, so that one call serves many problems, and the
examples of one problem can be seen as problems of their own (1-SAM). Pullbacks are written out
instead of left to autograd: they carry `Scaled` slopes, which autograd cannot.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from limitpoint.numerics import Scaled, Value, by_rows, cat, combine


class Model(ABC):
    """f(w, X); `ndim` trailing dimensions of w are one parameter, those before are the batch."""

    ndim: int

    @abstractmethod
    def predict(self, w: Tensor, X: Tensor) -> Tensor:
        """Predictions of X (*batch, n, d): (*batch, n), or (*batch, n, k) with k classes."""

    @abstractmethod
    def pullback(self, w: Tensor, X: Tensor, slope: Value) -> Value:
        """sum_i slope_i df(x_i)/dw, the shape of w."""


def _rows(slope: Value, X: Tensor) -> Value:
    """sum_i slope_i x_i, shape (*batch, d)."""
    return _form(combine(_form(slope, lambda s: s.unsqueeze(-1)), X), lambda rows: rows.squeeze(-2))


def _form(x: Value, form: Callable[[Tensor], Tensor]) -> Value:
    return x.map(form) if isinstance(x, Scaled) else form(x)


def _columns(X: Tensor, w: Tensor) -> Tensor:
    """<x_i, w>, shape (*batch, n)."""
    return (X @ w.unsqueeze(-1)).squeeze(-1)


@dataclass(frozen=True)
class Linear(Model):
    """f(x) = <w, x>; w of shape (*batch, d)."""

    ndim = 1

    def predict(self, w: Tensor, X: Tensor) -> Tensor:
        """<w, x_i>."""
        return _columns(X, w)

    def pullback(self, w: Tensor, X: Tensor, slope: Value) -> Value:
        """X^T slope."""
        return _rows(slope, X)


@dataclass(frozen=True)
class MulticlassLinear(Model):
    """f(x) = W x; W of shape (*batch, k, d)."""

    ndim = 2

    def predict(self, w: Tensor, X: Tensor) -> Tensor:
        """Logits X W^T."""
        return by_rows(w, X.mT).mT

    def pullback(self, w: Tensor, X: Tensor, slope: Value) -> Value:
        """slope^T X."""
        return combine(slope, X)


@dataclass(frozen=True)
class DiagonalDifference(Model):
    """f(x) = <w_+^2 - w_-^2, x>; w = (w_+, w_-) of shape (*batch, 2, d) (understanding_sam (5))."""

    ndim = 2

    def predict(self, w: Tensor, X: Tensor) -> Tensor:
        """<w_+^2 - w_-^2, x_i>."""
        return _columns(X, self.predictor(w))

    @staticmethod
    def predictor(w: Tensor) -> Tensor:
        """beta = w_+^2 - w_-^2, shape (*batch, d)."""
        return w[..., 0, :] ** 2 - w[..., 1, :] ** 2

    def pullback(self, w: Tensor, X: Tensor, slope: Value) -> Value:
        """(2 w_+ X^T slope, -2 w_- X^T slope)."""
        signed = torch.stack([2 * w[..., 0, :], -2 * w[..., 1, :]], dim=-2)
        return _through_layers(signed, X, slope)


@dataclass(frozen=True)
class DiagonalProduct(Model):
    """f(x) = <w^(1) * ... * w^(L), x>; w of shape (*batch, L, d) (minor_first, depth L)."""

    ndim = 2

    def predict(self, w: Tensor, X: Tensor) -> Tensor:
        """<beta, x_i>."""
        return _columns(X, self.predictor(w))

    @staticmethod
    def predictor(w: Tensor) -> Tensor:
        """beta, the entrywise product of the layers, shape (*batch, d)."""
        return w.prod(dim=-2)

    def pullback(self, w: Tensor, X: Tensor, slope: Value) -> Value:
        """X^T slope times the product of the other layers."""
        depth = w.shape[-2]
        others = [
            torch.cat([w[..., :layer, :], w[..., layer + 1 :, :]], dim=-2).prod(dim=-2)
            for layer in range(depth)
        ]
        return _through_layers(torch.stack(others, dim=-2), X, slope)


@dataclass(frozen=True)
class ReluNetwork(Model):
    """f(x) = sum_j v_j max(<u_j, x> + b_j, 0): one hidden layer.

    w = (U, b, v) of shape (*batch, d + 2, hidden), a hidden unit a column.
    """

    ndim = 2

    def predict(self, w: Tensor, X: Tensor) -> Tensor:
        """f(x_i)."""
        return _columns(self._hidden(w, X).clamp(min=0), w[..., -1, :])

    def pullback(self, w: Tensor, X: Tensor, slope: Value) -> Value:
        """Slopes through the units that are above zero."""
        before = self._hidden(w, X)
        inner = _form(slope, lambda s: s.unsqueeze(-1)) * ((before > 0) * w[..., -1:, :])
        with_ones = torch.cat([X, torch.ones_like(X[..., :1])], -1)
        outer = _form(_rows(slope, before.clamp(min=0)), lambda row: row.unsqueeze(-2))
        return cat([_form(combine(inner, with_ones), lambda rows: rows.mT), outer], -2)

    @staticmethod
    def _hidden(w: Tensor, X: Tensor) -> Tensor:
        """<u_j, x_i> + b_j, shape (*batch, n, hidden)."""
        return X @ w[..., :-2, :] + w[..., -2:-1, :]


def _through_layers(jacobian: Tensor, X: Tensor, slope: Value) -> Value:
    """Jacobian (*batch, L, d) of the predictor times X^T slope (*batch, d)."""
    return _form(_rows(slope, X), lambda rows: rows.unsqueeze(-2)) * jacobian
