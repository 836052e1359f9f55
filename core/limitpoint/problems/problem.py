"""Problems: what a rule is run on.

An `Oracle` answers for a value and a gradient at w. A `Problem` is the oracle made of data, model
and loss; an `Objective` is one made of a plain function, for the claims about general smooth or
Polyak-Lojasiewicz functions.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from limitpoint.numerics import Value, vector_norm
from limitpoint.problems.losses import Loss, MarginLoss, MulticlassLoss
from limitpoint.problems.models import Model


class Oracle(ABC):
    """A differentiable objective; `ndim` trailing dimensions of w are one parameter."""

    @property
    @abstractmethod
    def ndim(self) -> int:
        """How many trailing dimensions of w make up one parameter."""

    @abstractmethod
    def value(self, w: Tensor) -> Tensor:
        """Objective at w, shape (*batch)."""

    @abstractmethod
    def grad(self, w: Tensor) -> Value:
        """Gradient at w, the shape of w."""

    @property
    def dims(self) -> tuple[int, ...]:
        """The dimensions of one parameter, as negative indices."""
        return tuple(range(-self.ndim, 0))

    def norm(self, x: Value, p: float = 2) -> Value:
        """Entrywise p-norm of each parameter, kept as dimensions of size one."""
        return vector_norm(x, p, self.dims)

    def batch(self, t: int, *, turn: int = 0) -> Oracle:
        """What step t sees: all of it, unless the oracle draws minibatches.

        Args:
            t: the step.
            turn: 0 for the step's minibatch, 1 for another one.
        """
        return self

    def sharpness_batches(self, batch_size: int) -> Oracle:
        """The objective as a batch of objectives, one for each `batch_size` examples."""
        raise TypeError(f"{type(self).__name__} has no examples: m-SAM needs a Problem")

    def batch_weight(self, batch_size: int) -> float:
        """What the mean over those objectives is multiplied by to give this one."""
        raise TypeError(f"{type(self).__name__} has no examples: m-SAM needs a Problem")


@dataclass(frozen=True, eq=False)
class Problem(Oracle):
    """Data, model and loss: L(w) = weight * sum_i l(f(w, x_i), y_i).

    Args:
        name: what the ledger calls it.
        model: the prediction.
        loss: the loss of a prediction.
        X: inputs, shape (*batch, n, d), float64.
        y: targets (float64) or labels (-1/+1 as float64; 0..k-1 as int64), shape (*batch, n).
        start: where a run starts unless told otherwise, the shape of the parameter.
    """

    name: str
    model: Model
    loss: Loss
    X: Tensor
    y: Tensor
    start: Tensor

    @property
    def ndim(self) -> int:
        """Trailing dimensions of one parameter."""
        return self.model.ndim

    @property
    def n(self) -> int:
        """Number of examples."""
        return self.X.shape[-2]

    @property
    def classes(self) -> int | None:
        """Number of classes of a multiclass problem, else None."""
        return self.start.shape[-2] if isinstance(self.loss, MulticlassLoss) else None

    def predict(self, w: Tensor) -> Tensor:
        """Predictions, shape (*batch, n) or (*batch, n, k)."""
        return self.model.predict(w, self.X)

    def value(self, w: Tensor) -> Tensor:
        """L(w), shape (*batch)."""
        return self.loss.weight(self.n) * self.loss.values(self.predict(w), self.y).sum(-1)

    def log_value(self, w: Tensor) -> Tensor:
        """log L(w), exact where L itself is below float64's range."""
        logs = self.loss.log_values(self.predict(w), self.y)
        return torch.logsumexp(logs, dim=-1) + torch.log(self._weight)

    @cached_property
    def _weight(self) -> Tensor:
        return torch.tensor(self.loss.weight(self.n), dtype=self.X.dtype, device=self.X.device)

    def grad(self, w: Tensor) -> Value:
        """Gradient of L at w."""
        slope = self.loss.slope(self.predict(w), self.y)
        return self.model.pullback(w, self.X, slope) * self.loss.weight(self.n)

    def margins(self, w: Tensor) -> Tensor:
        """Margins of a classification problem: y_i f_i (*batch, n), or f_y - f_c (*batch, n, k)."""
        prediction = self.predict(w)
        if isinstance(self.loss, MulticlassLoss):
            return -self.loss.gaps(prediction, self.y)
        if isinstance(self.loss, MarginLoss):
            return self.y * prediction
        raise TypeError(f"{type(self.loss).__name__} is a loss of a residual: it has no margins")

    def sharpness_batches(self, batch_size: int) -> Problem:
        """The n / batch_size problems of consecutive examples, as one batch (m-sharpness)."""
        return _split(self, batch_size)

    def batch_weight(self, batch_size: int) -> float:
        """One for a mean loss, the number of batches for a sum."""
        return 1.0 if self.loss.mean else self.n / batch_size

    def to(self, device: str) -> Problem:
        """The same problem on another device."""
        return replace(self, X=self.X.to(device), y=self.y.to(device), start=self.start.to(device))

    @property
    def digest(self) -> str:
        """First 16 hex digits of the SHA-256 of the data, for the tests that pin it.

        Taken in float32: the last bits of a float64 product are the BLAS library's own.
        """
        data = hashlib.sha256()
        for part in (self.X, self.y, self.start):
            data.update((part.detach().cpu().float().contiguous() + 0.0).numpy().tobytes())
        return data.hexdigest()[:16]


@lru_cache(maxsize=64)
def _split(problem: Problem, batch_size: int) -> Problem:
    groups, left = divmod(problem.n, batch_size)
    if left:
        raise ValueError(f"batch size {batch_size} does not divide the {problem.n} examples")
    return replace(
        problem,
        X=problem.X.reshape(*problem.X.shape[:-2], groups, batch_size, problem.X.shape[-1]),
        y=problem.y.reshape(*problem.y.shape[:-1], groups, batch_size),
    )


def stack(problems: Sequence[Problem]) -> Problem:
    """Problems of one shape, model and loss as one batch (leading dimension)."""
    first = problems[0]
    return replace(
        first,
        X=torch.stack([p.X for p in problems]),
        y=torch.stack([p.y for p in problems]),
        start=torch.stack([p.start for p in problems]),
    )


@dataclass(frozen=True, eq=False)
class Objective(Oracle):
    """A plain function with its gradient, both over (*batch, d).

    Args:
        name: what the ledger calls it.
        function: w (*batch, d) -> (*batch).
        gradient: w (*batch, d) -> (*batch, d).
        constants: what is known of it, such as smoothness, PL constant, minimum.
    """

    name: str
    function: Callable[[Tensor], Tensor]
    gradient: Callable[[Tensor], Tensor]
    constants: dict[str, float] = field(default_factory=dict)

    @property
    def ndim(self) -> int:
        """Trailing dimensions of one parameter."""
        return 1

    def value(self, w: Tensor) -> Tensor:
        """Function value."""
        return self.function(w)

    def grad(self, w: Tensor) -> Tensor:
        """Gradient."""
        return self.gradient(w)
