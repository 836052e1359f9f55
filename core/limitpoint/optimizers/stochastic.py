"""Stochastic forms of the rules: one random example of a `Problem` a step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limitpoint.numerics import Value
from limitpoint.optimizers.rule import Rule
from limitpoint.optimizers.schedules import Schedule
from limitpoint.problems.problem import Oracle, Problem


@dataclass(eq=False)
class OneExample(Oracle):
    """A problem as one stochastic step sees it.

    Args:
        whole: the problem; its loss is a mean.
        example: the problem of the step's example alone.
        ascent_on_all: the first gradient asked for is that of the whole problem.
        index: which example it is, of each data set of the batch, if that is known.
    """

    whole: Problem
    example: Problem
    ascent_on_all: bool = False
    index: Tensor | None = None

    @classmethod
    def of(cls, whole: Problem, index: Tensor, *, ascent_on_all: bool = False) -> OneExample:
        """The one with an index, shape (*batch of the data)."""
        at = index.unsqueeze(-1)
        X = torch.take_along_dim(whole.X, at.unsqueeze(-1), -2)
        example = replace(whole, X=X, y=torch.take_along_dim(whole.y, at, -1))
        return cls(whole, example, ascent_on_all, index)

    @property
    def ndim(self) -> int:
        """Trailing dimensions of one parameter."""
        return self.whole.ndim

    def value(self, w: Tensor) -> Tensor:
        """L(w) of all examples."""
        return self.whole.value(w)

    def grad(self, w: Tensor) -> Value:
        """Gradient of the example, or of the problem at the first call of `ascent_on_all`."""
        seen = self.whole if self.ascent_on_all else self.example
        self.ascent_on_all = False
        return seen.grad(w)

    def sharpness_batches(self, batch_size: int) -> Problem:
        """The example as the one batch of 1-SAM."""
        return self.example.sharpness_batches(batch_size)

    def batch_weight(self, batch_size: int) -> float:
        """One: there is one batch."""
        return 1.0


@dataclass(frozen=True, eq=False)
class Stochastic(Rule):
    """A rule that sees one random example a step, drawn with replacement.

    Of GD it makes SGD, of 1-SAM its stochastic form ("SumMax"). `ascent_on_all` makes of n-SAM the
    stochastic form that keeps the perturbation of the whole batch and descends on one example
    (understanding_sam, App. B.3).

    Args:
        rule: the rule; the step sizes are its own.
        seed: of the PCG64 stream of indices, which starts anew with each run.
        ascent_on_all: the first gradient of a step is that of all examples.
    """

    step_size: Schedule = field(init=False, repr=False)
    rule: Rule
    seed: int
    ascent_on_all: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "step_size", self.rule.step_size)

    @property
    def name(self) -> str:
        """What the ledger calls it."""
        return f"stochastic {self.rule.name}"

    def init(self, oracle: Oracle, w: Tensor) -> Any:
        """The stream of indices, and the state of the rule."""
        stream = np.random.Generator(np.random.PCG64(self.seed))
        return stream, self.rule.init(oracle, w)

    def step(self, oracle: Oracle, w: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
        """One step of the rule on the next example; each problem of a batch draws its own.

        Raises:
            TypeError: the oracle is no `Problem` with a mean loss.
        """
        if not isinstance(oracle, Problem) or not oracle.loss.mean:
            raise TypeError(f"{type(oracle).__name__}: a stochastic step needs a mean loss of data")
        stream, inner = state
        drawn = torch.as_tensor(stream.integers(oracle.n, size=oracle.y.shape[:-1]))
        index = drawn.to(oracle.y.device)
        seen = OneExample.of(oracle, index, ascent_on_all=self.ascent_on_all)
        w, inner = self.rule.step(seen, w, inner, t)
        return w, (stream, inner)
