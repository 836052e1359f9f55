"""Classification by a network: a stack of runs, each with its own images, labels and start."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from limitpoint.deep.gradients import m_sam_gradient, mean_loss, plain_gradient
from limitpoint.deep.networks import Network, Statistics
from limitpoint.problems.problem import Oracle
from limitpoint.problems.randomness import generator

#: Images of one run that a network without a stacked form takes at once.
AT_ONCE = 1000


@dataclass(frozen=True)
class Sampling:
    """Minibatches: each epoch goes through the examples in an order of its own.

    Args:
        size: b; what is left over at the end of an epoch is left out.
        seed: of the orders; the same for every run of a stack.
        shift: pixels that an image is moved by at most, up or down and sideways, at random.
        mirrored: every image is mirrored with probability 1/2.
    """

    size: int
    seed: int = 0
    shift: int = 0
    mirrored: bool = False

    def rows(self, n: int, t: int, turn: int) -> Tensor:
        """Indices of the minibatch of step t, int64 (b,); of another one of its epoch at turn 1."""
        epoch, place = divmod(t, n // self.size)
        place = (place + turn) % (n // self.size)
        return _order(self.seed, n, epoch)[place * self.size : (place + 1) * self.size]

    def augmented(self, X: Tensor, t: int, turn: int) -> Tensor:
        """Images (S, b, channels, side, side), moved and mirrored as step t does it."""
        if not (self.shift or self.mirrored):
            return X
        rng, count, side = generator(f"augmentation-{turn}-{t}", self.seed), X.shape[1], X.shape[-1]
        moves = torch.from_numpy(rng.integers(-self.shift, self.shift + 1, (2, count, 1)))
        flips = torch.from_numpy(rng.integers(0, 1 + self.mirrored, (count, 1)) > 0)
        along = torch.arange(side)
        columns = torch.where(flips, along.flip(0), along) + moves[0]
        return _taken(X, (along + moves[1]).to(X.device), columns.to(X.device))


def _taken(X: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The pixels X[s, i, c, rows[i], columns[i]]; zero where an index is outside."""
    side = X.shape[-1]
    r, c = rows.clamp(0, side - 1), columns.clamp(0, side - 1)
    inside = ((rows == r)[:, :, None] & (columns == c)[:, None, :]).unsqueeze(1)
    which = torch.arange(len(rows), device=X.device)[:, None, None, None]
    channel = torch.arange(X.shape[2], device=X.device)[None, :, None, None]
    return X[:, which, channel, r[:, None, :, None], c[:, None, None, :]] * inside


@lru_cache(maxsize=64)
def _order(seed: int, n: int, epoch: int) -> Tensor:
    return torch.from_numpy(generator(f"epoch-{epoch}", seed).permutation(n))


@dataclass(frozen=True, eq=False)
class Classification(Oracle):
    """Mean cross-entropy of a network on images; the leading dimension is a stack of runs.

    Args:
        name: data, sizes and network, for the record.
        network: what is trained.
        X: images, shape (S, n, *image), or (1, n, *image) if every run has the same; the dtype of
            the parameters.
        y: labels 0..k-1, int64 (S, n).
        start: where a run starts, shape (S, size).
        sampling: minibatches; None for full batches.
        statistics: of the normalisations over examples, in place of those of the images at hand.
    """

    name: str
    network: Network
    X: Tensor
    y: Tensor
    start: Tensor
    sampling: Sampling | None = None
    statistics: Statistics | None = None

    @property
    def ndim(self) -> int:
        """Trailing dimensions of one parameter."""
        return 1

    @property
    def n(self) -> int:
        """Number of examples."""
        return self.y.shape[1]

    @property
    def steps_of_an_epoch(self) -> int:
        """One for full batches."""
        return 1 if self.sampling is None else self.n // self.sampling.size

    def value(self, w: Tensor) -> Tensor:
        """Mean loss at w (*more, S, size), shape (*more, S)."""
        return self._each(w, mean_loss)

    def error(self, w: Tensor) -> Tensor:
        """Percentage of wrong predictions at w (*more, S, size), shape (*more, S), float64."""
        return self._each(w, _wrong)

    def _each(self, w: Tensor, measure: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        if w.ndim > 2:
            return torch.stack([self._each(v, measure) for v in w])
        with torch.no_grad():
            parts = [
                measure(self.network.logits(w, X, self.statistics), y) * (y.shape[1] / self.n)
                for X, y in self._chunks()
            ]
        return torch.stack(parts).sum(0)

    def _chunks(self) -> Iterator[tuple[Tensor, Tensor]]:
        count = self.n if self.network.stacked else AT_ONCE
        X = self.X.expand(len(self.y), *self.X.shape[1:])
        return zip(torch.split(X, count, 1), torch.split(self.y, count, 1), strict=True)

    def grad(self, w: Tensor) -> Tensor:
        """Gradient at w (S, size)."""
        return plain_gradient(self.network, w, self.X, self.y, self.statistics)

    def m_sam_grad(
        self, w: Tensor, rho: float | Tensor, m: int | None, *, normalised: bool
    ) -> Tensor:
        """See `limitpoint.deep.gradients.m_sam_gradient`."""
        form = "layers" if self.network.stacked else "loop"
        return m_sam_gradient(
            self.network, w, self.X, self.y, rho, m, normalised=normalised, form=form
        )

    def batch(self, t: int, *, turn: int = 0) -> Classification:
        """The problem of the minibatch of step t, or of another one of its epoch at turn 1."""
        if self.sampling is None:
            return self
        rows = self.sampling.rows(self.n, t, turn).to(self.y.device)
        X = self.sampling.augmented(self.X.index_select(1, rows), t, turn)
        X = X.expand(len(self.y), *X.shape[1:])
        return replace(self, X=X, y=self.y.index_select(1, rows), sampling=None)

    def sharpness_batches(self, batch_size: int) -> Groups:
        """The problems of each `batch_size` consecutive examples."""
        return Groups(self.ungrouped(batch_size), self.n // batch_size)

    def ungrouped(self, m: int) -> Classification:
        """Each m consecutive examples as a run of their own: a stack of S n / m.

        Raises:
            ValueError: m does not divide n.
        """
        if self.n % m:
            raise ValueError(f"m = {m} does not divide the {self.n} examples of a minibatch")
        count = self.n // m
        return replace(
            self,
            X=self.X.reshape(-1, m, *self.X.shape[2:]),
            y=self.y.reshape(-1, m),
            start=self.start.repeat_interleave(count, 0),
        )

    def batch_weight(self, batch_size: int) -> float:
        """One: the loss is a mean."""
        return 1.0

    def to(self, device: str) -> Classification:
        """The same problem on another device; itself if it is there."""
        if self.X.device.type == device:
            return self
        return replace(self, X=self.X.to(device), y=self.y.to(device), start=self.start.to(device))

    @property
    def digest(self) -> str:
        """First 16 hex digits of the SHA-256 of images, labels and start."""
        data = hashlib.sha256()
        for part in (self.X, self.y, self.start):
            data.update(str(tuple(part.shape)).encode())
            data.update(part.detach().cpu().contiguous().numpy().tobytes())
        return data.hexdigest()[:16]


def _wrong(logits: Tensor, y: Tensor) -> Tensor:
    return 100 * (logits.argmax(-1) != y).double().mean(-1)


@dataclass(frozen=True, eq=False)
class Groups(Oracle):
    """The groups of m examples of each run, as problems of their own.

    Args:
        flat: a run a group, S G in all.
        count: G.
    """

    flat: Classification
    count: int

    @property
    def ndim(self) -> int:
        """Trailing dimensions of one parameter."""
        return 1

    def value(self, w: Tensor) -> Tensor:
        """Mean loss of each group at w (S, G, size) or (S, 1, size), shape (S, G)."""
        return self.flat.value(self._flat(w)).reshape(-1, self.count)

    def grad(self, w: Tensor) -> Tensor:
        """Gradient of each group, shape (S, G, size)."""
        return self.flat.grad(self._flat(w)).reshape(-1, self.count, w.shape[-1])

    def _flat(self, w: Tensor) -> Tensor:
        return w.expand(-1, self.count, -1).flatten(0, 1)
