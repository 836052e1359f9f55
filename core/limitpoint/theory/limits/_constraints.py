"""The margin constraints ``<A_j, W>`` of a data set, binary or multiclass."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from limitpoint.theory.limits._certificate import Array, as_finite

Index = NDArray[np.intp]


class _Digested:
    """Constraints that are told apart by what they are made of."""

    @property
    def digest(self) -> str:
        """SHA-256 of kind, shapes and numbers."""
        data = hashlib.sha256(type(self).__name__.encode())
        for item in fields(self):  # type: ignore[arg-type]
            part = np.asarray(getattr(self, item.name))
            data.update(f"{part.dtype}{part.shape}".encode())
            data.update(np.ascontiguousarray(part).tobytes())
        return data.hexdigest()


@dataclass(frozen=True)
class Binary(_Digested):
    """``A_n = y_n x_n``, in the order of the samples; weights of shape (n,)."""

    A: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (d,) of the parameter."""
        return self.A.shape[1:]

    @property
    def size(self) -> int:
        """Number of constraints."""
        return len(self.A)

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Shape (n,) of the public dual."""
        return self.A.shape[:1]

    def margins(self, w: Array) -> Array:
        """``<A_j, w>`` for every j."""
        return self.A @ w

    def combine(self, q: Array) -> Array:
        """``sum_j q_j A_j``, of the parameter's shape."""
        return self.A.T @ q

    def rows(self, index: Index) -> Array:
        """The constraints at `index`, dense, flattened."""
        return self.A[index]

    def matrix(self) -> csr_array:
        """All constraints, sparse, flattened."""
        return csr_array(self.A)

    def expand(self, q: Array) -> Array:
        """Flat weights in the public shape."""
        return q

    def flatten(self, q: Array) -> Array:
        """Public weights, flat."""
        return q


@dataclass(frozen=True)
class Multiclass(_Digested):
    """``A_nc = (e_{y_n} - e_c) x_n^T`` for c != y_n, in lexicographic order of (n, c).

    The public weights have shape (n, k), zero at the true class.
    """

    X: Array
    labels: Index
    classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (k, d) of the parameter."""
        return (self.classes, self.X.shape[1])

    @property
    def size(self) -> int:
        """Number of constraints."""
        return len(self.labels) * (self.classes - 1)

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Shape (n, k) of the public dual."""
        return self.others.shape

    @cached_property
    def others(self) -> NDArray[np.bool_]:
        """(n, k), true where the class is not the sample's own."""
        return np.not_equal(self.labels[:, None], np.arange(self.classes))

    @cached_property
    def pairs(self) -> tuple[Index, Index]:
        """Sample and rival class of each constraint."""
        sample, rival = np.nonzero(self.others)
        return sample, rival

    def margins(self, W: Array) -> Array:
        """``<A_j, W>`` for every j."""
        scores = self.X @ W.T
        own = np.take_along_axis(scores, self.labels[:, None], axis=1)
        margins: Array = (own - scores)[self.others]
        return margins

    def combine(self, q: Array) -> Array:
        """``sum_j q_j A_j``, of the parameter's shape."""
        weights = self.expand(q)
        own = np.eye(self.classes)[self.labels] * weights.sum(axis=1, keepdims=True)
        pull: Array = (own - weights).T @ self.X
        return pull

    def rows(self, index: Index) -> Array:
        """The constraints at `index`, dense, flattened."""
        sample, rival = self.pairs[0][index], self.pairs[1][index]
        A = np.zeros((len(index), *self.shape))
        A[np.arange(len(index)), self.labels[sample]] = self.X[sample]
        A[np.arange(len(index)), rival] = -self.X[sample]
        return A.reshape(len(index), -1)

    def matrix(self) -> csr_array:
        """All constraints, sparse, flattened."""
        sample, rival = self.pairs
        d = self.X.shape[1]
        column = np.arange(d)
        columns = np.stack([self.labels[sample], rival], axis=1)[:, :, None] * d + column
        values = np.stack([self.X[sample], -self.X[sample]], axis=1)
        starts = np.arange(len(sample) + 1) * 2 * d
        A = csr_array(
            (values.ravel(), columns.ravel(), starts), shape=(len(sample), self.classes * d)
        )
        A.eliminate_zeros()
        return A

    def expand(self, q: Array) -> Array:
        """Flat weights in the public shape."""
        weights = np.zeros(self.others.shape)
        weights[self.others] = q
        return weights

    def flatten(self, q: Array) -> Array:
        """Public weights, flat."""
        return q[self.others]


Constraints = Binary | Multiclass


def constraints_of(X: ArrayLike, y: ArrayLike, classes: int | None) -> Constraints:
    """The margin constraints of a data set.

    Raises:
        ValueError: no sample, shapes that do not match, labels outside {-1, +1} or 0..classes-1.
    """
    X, y = as_finite("X", X, 2), as_finite("y", y, 1)
    if X.size == 0 or y.shape[0] != X.shape[0]:
        raise ValueError(f"Invalid y: shape {y.shape}. Must be ({X.shape[0]},) and not empty.")
    if classes is None:
        if not np.isin(y, (-1.0, 1.0)).all():
            raise ValueError("Invalid y: labels must be -1 or +1 where classes is None.")
        return Binary(y[:, None] * X)
    if classes < 2 or not np.isin(y, np.arange(classes)).all():
        raise ValueError(f"Invalid y: labels must be 0..{classes - 1}, of at least 2 classes.")
    return Multiclass(X, y.astype(np.intp), classes)
