"""Any torch optimizer as an update rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from inspect import Parameter
from typing import Any

import torch
from torch import Tensor

from limitpoint.engines.directions import Directions, Kernels, compiled
from limitpoint.errors import NotApplicable, SubjectFailed
from limitpoint.optimizers import OneExample, Rule
from limitpoint.optimizers.rule import Arrays
from limitpoint.problems.problem import Oracle
from limitpoint.subjects._batch import ALIKE, Batch, Places, Together, alike
from limitpoint.subjects._guards import NotRun, OutOfMemory, SubjectRaised
from limitpoint.subjects._instance import COARSE, begun, made
from limitpoint.subjects._limits import UNLIMITED, Limits
from limitpoint.subjects._manner import PLAIN
from limitpoint.subjects._plain import PlainOracle, entries, rows, shaped
from limitpoint.subjects._pulse import CONSTRUCTOR, PULSE
from limitpoint.subjects._signature import Accepted, own_names
from limitpoint.subjects._worker import apart

#: How the note begins that says which settings were a claim's own.
HANDED = "handed over"


@dataclass(frozen=True, eq=False)
class TorchOptimizer(Rule):
    """An optimizer of the field as a rule: one parameter and one optimizer per batch element.

    It goes on as one optimizer for all of them, once that one's first steps were the same to
    rounding: with one parameter for all elements that are given the same arguments and step sizes,
    if it is entrywise; or else with one parameter each, unless parameters know of one another.

    Classes with `step()`, with `step(closure)`, with the two phases `first_step` and `second_step`
    of SAM, and with `train()` and `eval()`. One that refuses its parameter, or whose first step
    fails, is called in the other manners of `MANNERS`.

    Args:
        step_size: set as the groups' "lr" before each step.
        constructor: (params, **kwargs) -> optimizer.
        kwargs: its arguments; a tensor that broadcasts over the batch is given entry by entry.
        limits: what it may take in one run.
        target: what the ledger calls it.
        said: what is to be said of how it is run; extended by the run.
    """

    constructor: Callable[..., Any] = torch.optim.SGD
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = UNLIMITED
    target: str = ""
    said: list[str] = field(default_factory=list)
    #: The problem of the run, and its compiled gradients; what a step sees may bring its own.
    _kernels: tuple[Oracle | None, Directions | None] = field(default=(None, None), init=False)

    @property
    def name(self) -> str:
        """What the ledger calls it."""
        return self.target or getattr(self.constructor, "__name__", type(self).__name__)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What its constructor is given or has by default, by limitpoint's names."""
        given = {**Accepted.by(self.constructor, skip=1).defaults, **self.kwargs}
        return own_names({name: v for name, v in given.items() if v is not Parameter.empty})

    @property
    def precision(self) -> str:
        """Its moments are what torch makes of plain tensors."""
        return "float64"

    @property
    def notes(self) -> Sequence[str]:
        """What it was handed, and what is not as usual in how it is called."""
        given = {k: v for k, v in self.kwargs.items() if k != "lr" and not isinstance(v, Tensor)}
        shown = ", ".join(
            f"{k}={v.__name__ if isinstance(v, type) else v}" for k, v in given.items()
        )
        return [f"{HANDED}: {shown}", *self.said] if shown else self.said

    @property
    def is_foreign(self) -> bool:
        """It is."""
        return True

    def apart(
        self,
        work: Callable[[], Arrays],
        oracle: Oracle,
        start: Tensor,
        watch: Callable[[int], None] | None = None,
    ) -> Arrays:
        """See `Rule.apart`."""
        _warm_up()
        object.__setattr__(self, "_kernels", (oracle, compiled(oracle, start.shape)))
        return apart(work, self.limits, notes=self.said, watch=watch)

    def init(self, oracle: Oracle, w: Tensor) -> Batch:
        """One optimizer for each batch element of w (*batch, *parameter), float64.

        Raises:
            NotRun: an argument is missing, or there is no manner in which its constructor is happy.
            SubjectFailed: what it made is no optimizer.
            NotApplicable: the step size has to decay and the optimizer has no groups to say so.
        """
        PULSE.tell(CONSTRUCTOR)
        self._check_required()
        state = Batch([], PLAIN)
        for k, row in enumerate(rows(w, oracle.ndim)):
            arguments = self._arguments(k, oracle, w)
            state.instances.append(made(self.constructor, arguments, row, state.manner))
            state.manner = state.instances[-1].manner
        if len(state.instances) > 1 and all(one.is_plain for one in state.instances):
            self._join(state, oracle, w)
        if not self.step_size.is_constant and not all(one.groups() for one in state.instances):
            raise NotApplicable(
                "hypothesis not met: a decaying step size (the subject has no param_groups "
                'with an "lr" to set)'
            )
        self._note(state)
        return state

    def _join(self, state: Batch, oracle: Oracle, w: Tensor) -> None:
        """Optimizers more, for all elements at once."""
        count, eta = len(state.instances), self.step_size.at(0)
        given = [v for name, v in self.kwargs.items() if name != "lr" and _batched(v)]
        kinds = list(zip([0] * count, *(entries(v, w, oracle.ndim) for v in given), strict=True))
        # Of step sizes that are equal now one may decay: those alone are the same that are one.
        of = torch.arange(eta.numel()).reshape(eta.shape) if isinstance(eta, Tensor) else 0.0
        places = alike(list(zip(kinds, entries(of, w, oracle.ndim), strict=True)))
        arguments = [self._arguments(k, oracle, w) for k in range(count)]
        single: list[Places] = list(range(count))
        for each in (places, single) if len(places) < count else (single,):
            with suppress(SubjectFailed):  # one that takes matrices alone, say, or no groups
                found = Together(self.constructor, arguments, kinds, rows(w, oracle.ndim), each)
                state.joint += [found] if len(found.parts) < count else []

    def step(self, oracle: Oracle, w: Tensor, state: Batch, t: int) -> tuple[Tensor, Batch]:
        """One step of every optimizer from w; see `Rule.step`.

        Raises:
            NotRun: there is no manner in which it takes its first step.
            SubjectFailed: it raised, left the numbers, changed its parameter's kind or did not
                move.
            Inconclusive: the gradient to hand over is beyond float64's range, or its square is and
                the iterate left the numbers.
        """
        PULSE.tell(t)
        seen, etas = oracle.batch(t), entries(self.step_size.at(t), w, oracle.ndim)
        kernels, stayed = self._kernels_of(seen, w), w is state.after
        around = partial(PlainOracle, seen, w, t, kernels, stayed=stayed)
        joint = state.advance(around, etas)
        if joint and t >= ALIKE:
            state.after = shaped(joint[0], w.shape)
            return state.after, state
        each = around()
        found = [self._advance(state, k, each, eta) for k, eta in enumerate(etas)]
        after = shaped(found[0] if len(found) == 1 else torch.stack(found), w.shape)
        if t < 2:
            self._note(state)
        if joint:
            state.compare(joint, after, t)
        state.after = None if joint else after  # the joint ones are there to rounding alone
        return after, state

    def _kernels_of(self, seen: Oracle, w: Tensor) -> Kernels | None:
        """The compiled gradients of what a step sees: the run's problem, or an example of it."""
        known, kernels = self._kernels
        if seen is known:
            return kernels
        if not isinstance(seen, OneExample):
            found: Kernels | None = getattr(seen, "kernels", None)
            return found
        if kernels is None or seen.whole is not known or seen.index is None or seen.ascent_on_all:
            return None
        drawn = compiled(known, w.shape, drawn=True)
        return None if drawn is None else drawn.draw(seen)

    def _advance(self, state: Batch, k: int, around: PlainOracle, eta: float) -> Tensor:
        """Step one instance; a first step that fails is tried in other ways."""
        one = state.instances[k]
        try:
            after = one.play(around, [k], [eta])[0]
        except OutOfMemory:
            raise
        except SubjectRaised as failure:
            if around.t:
                raise
            arguments = self._arguments(k, around.oracle, around.w)
            one, after = begun(self.constructor, arguments, around, k, eta, failure)
            state.instances[k] = one
        one.check(around, [k], [after], [eta])
        return after

    def _note(self, state: Batch) -> None:
        """Say what is not as usual in how it is called."""
        one = state.instances[0]
        said = [f"given {one.manner}"] if str(one.manner) else []
        said += ["the iterate that its eval() shows is judged"] if one.has_modes else []
        said += [COARSE] if one.is_coarse else []
        self.said.extend(each for each in said if each not in self.said)

    def _arguments(self, k: int, oracle: Oracle, w: Tensor) -> dict[str, Any]:
        return {
            name: entries(value, w, oracle.ndim)[k] if _batched(value) else value
            for name, value in self.kwargs.items()
        }

    def _check_required(self) -> None:
        required = Accepted.by(self.constructor, skip=1).required()
        missing = [name for name in required if name not in self.kwargs]
        if missing:
            raise NotRun(
                f"could not be run: {self.name} needs the argument {missing[0]!r}: give it as "
                f"{missing[0]}=..."
            )


@cache
def _warm_up() -> None:
    """A process's first torch optimizer imports for a second: none of the subject's time."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    parameter.grad = torch.zeros(1)
    torch.optim.SGD([parameter]).step()


def _batched(value: Any) -> bool:
    return isinstance(value, Tensor) and value.numel() > 1
