"""One torch optimizer with its parameter, or with one for each of several batch elements."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter
from typing import Any, NoReturn, TypeVar

import numpy as np
import torch
from torch import Tensor

from limitpoint.errors import Inconclusive, SubjectFailed
from limitpoint.subjects._guards import NotRun, OutOfMemory, SubjectRaised, blamed
from limitpoint.subjects._manner import FORMS, MANNERS, PLAIN, Manner
from limitpoint.subjects._plain import PlainOracle, shaped

T = TypeVar("T")
PATIENCE = 10
COARSE = "what it keeps between steps is less precise than float64"
#: What an object lacks that no training loop could step.
NO_STEP = "no step(), nor first_step() and second_step(): not an optimizer"
SMALLEST_ROOT = torch.finfo(torch.float64).tiny ** 0.5


class Instance:
    """One optimizer and its parameter; or several, each in a group of its own.

    Args:
        constructor: (parameters, **kwargs) -> optimizer.
        kwargs: its arguments.
        *starts: float64, one a parameter.
        manner: how it is called.
    """

    def __init__(
        self,
        constructor: Callable[..., Any],
        kwargs: Mapping[str, Any],
        *starts: Tensor,
        manner: Manner = PLAIN,
    ) -> None:
        self.manner, self.shapes = manner, [w.shape for w in starts]
        self.parameters = [torch.nn.Parameter(manner.shown(w).clone()) for w in starts]
        self.kinds = list(map(_kind, self.parameters))
        self.where = "in its constructor"
        with blamed(self.where):
            groups = (
                [{"params": [p]} for p in self.parameters]
                if len(starts) > 1
                else FORMS[manner.form](self.parameters[0])
            )
            self.optimizer = constructor(groups, **kwargs)
            # The ratios between groups are the subject's; the schedule is the theorem's.
            self.ratios = _ratios(self.groups())
        self.iterates()
        self.two_phase = self._has("first_step", "second_step")
        self.has_modes = self._has("train", "eval")
        if not self.two_phase and not callable(getattr(self.optimizer, "step", None)):
            kind = type(self.optimizer).__name__
            raise SubjectFailed(f"made a {kind}, which has {NO_STEP}")
        self.needs_closure = not self.two_phase and _takes_closure(
            self.optimizer.step, optional=manner.closure
        )
        self.idle: int | None = 0

    def _has(self, *names: str) -> bool:
        return all(callable(getattr(self.optimizer, name, None)) for name in names)

    @property
    def is_plain(self) -> bool:
        """Whether it is handed one gradient, its parameter as it is, and nothing else."""
        return self.manner == PLAIN and not (self.two_phase or self.needs_closure or self.has_modes)

    @property
    def is_coarse(self) -> bool:
        """Whether it keeps tensors that are less precise than its parameter."""
        kept = getattr(self.optimizer, "state", None)
        states = kept.values() if isinstance(kept, Mapping) else ()
        found = [v for s in states if isinstance(s, Mapping) for v in s.values()]
        return any(
            isinstance(v, Tensor) and v.is_floating_point() and v.ndim > 0
            and v.dtype != torch.float64
            for v in found
        )  # fmt: skip

    def groups(self) -> list[dict[str, Any]]:
        """The parameter groups with an "lr", those of a wrapped optimizer included."""
        found = list(getattr(self.optimizer, "param_groups", ()))
        wrapped = getattr(self.optimizer, "base_optimizer", None)
        own = {id(group) for group in found}
        found += [g for g in getattr(wrapped, "param_groups", ()) if id(g) not in own]
        return [group for group in found if "lr" in group]

    def iterates(self) -> list[Tensor]:
        """The parameters' values, in the problem's own shape.

        Raises:
            SubjectFailed: a parameter lost its kind.
        """
        return [self._iterate(j) for j in range(len(self.parameters))]

    def _iterate(self, j: int = 0) -> Tensor:
        parameter = self.parameters[j]
        kind = _kind(parameter)
        if kind != self.kinds[j]:
            kept = zip(("dtype", "device", "shape"), self.kinds[j], kind, strict=True)
            what, old, new = next(found for found in kept if found[1] != found[2])
            change = f"from {old} to {new} {self.where}".replace("torch.", "")
            raise SubjectFailed(f"changed its parameter's {what} {change}")
        return shaped(parameter.detach().clone(), self.shapes[j])

    def play(
        self, around: PlainOracle, elements: Sequence[int], etas: Sequence[float]
    ) -> list[Tensor]:
        """One step from the iterates of some batch elements: the next ones.

        An optimizer that has modes keeps an iterate of its own to train on, from which it goes on;
        the one that its `eval` shows is judged.

        Args:
            around: what the step sees.
            elements: of each parameter.
            etas: and its step size.
        """
        self.where = f"at step {around.t}"
        with blamed(self.where):
            if self.has_modes:
                self.optimizer.train()
                self._hand_over(around, elements[0], self._iterate())
            else:
                for j, k in enumerate(elements):
                    if not around.stayed:
                        parameter = self.parameters[j]
                        parameter.data.copy_(around.row(k).reshape(parameter.shape))
                    self._hand_over(around, k, j=j)
            groups = self.groups()
            sizes = etas if len(etas) == len(groups) else [etas[0]] * len(groups)
            rates = [
                (group, eta, eta * self.ratios.get(id(group), 1.0))
                for group, eta in zip(groups, sizes, strict=True)
            ]
            for group, _, rate in rates:
                group["lr"] = rate
            if self.two_phase:
                self._two_steps(around, elements[0])
            elif self.needs_closure:
                self.optimizer.step(lambda: self._closure(around, elements[0]))
            else:
                self.optimizer.step()
            # What it does to its own lr is part of it, and goes with the theorem's schedule.
            for group, eta, rate in rates:
                if group["lr"] != rate and eta != 0:
                    self.ratios[id(group)] = float(group["lr"]) / eta
            if self.has_modes:
                self.optimizer.eval()
        return self.iterates()

    def _hand_over(
        self, around: PlainOracle, k: int, point: Tensor | None = None, j: int = 0
    ) -> None:
        parameter = self.parameters[j]
        parameter.grad = shaped(around.gradient(k, point), parameter.shape)

    def _closure(self, around: PlainOracle, k: int) -> Tensor:
        point = self._iterate()
        self._hand_over(around, k, point)
        return around.value(k, point)

    def _two_steps(self, around: PlainOracle, k: int) -> None:
        phase(self.optimizer.first_step, zero_grad=True)
        self._hand_over(around, k, self._iterate())
        phase(self.optimizer.second_step, zero_grad=True)

    def check(
        self,
        around: PlainOracle,
        elements: Sequence[int],
        after: Sequence[Tensor],
        etas: Sequence[float],
    ) -> None:
        """Raise unless the next iterates are finite, and one is another by the tenth step.

        Raises:
            SubjectFailed: it is not. Only steps count on which plain gradient descent would have
                moved: at a minimum, to rounding, nobody has to.
            Inconclusive: where the gradient's square is below float64's range, m / sqrt(v) is not
                finite in any implementation.
        """
        for k, own in zip(elements, after, strict=True):
            if not np.isfinite(own.numpy()).all():
                self._blame(own, around.gradient(k))
        if self.idle is None:
            return
        before = [around.row(k) for k in elements]
        if not all(map(torch.equal, after, before)):
            self.idle = None
            return
        self.idle += not all(
            torch.equal(own - eta * around.gradient(k), own)
            for k, own, eta in zip(elements, before, etas, strict=True)
        )
        if self.idle == PATIENCE:
            raise SubjectFailed(f"did not move in its first {PATIENCE} steps")

    def _blame(self, after: Tensor, gradient: Tensor) -> NoReturn:
        """Say what became of an iterate that is not finite."""
        kind = "NaN" if bool(torch.isnan(after).any()) else "infinite"
        happened = f"its iterate became {kind} {self.where}"
        if bool(((gradient != 0) & (gradient.abs() < SMALLEST_ROOT)).any()):
            raise Inconclusive(
                f"precision ran out: {happened}, with a gradient whose square is below "
                "float64's range"
            )
        raise SubjectFailed(happened)


def made(
    constructor: Callable[..., Any], kwargs: Mapping[str, Any], w: Tensor, manner: Manner
) -> Instance:
    """An instance, in this manner or in the first one in which it can be made.

    Raises:
        NotRun: there is none.
    """
    return _first(
        lambda each: Instance(constructor, kwargs, w, manner=each),
        [manner, *(each for each in MANNERS if not each.closure)],
    )


def begun(
    constructor: Callable[..., Any], kwargs: Mapping[str, Any], around: PlainOracle, k: int,
    eta: float, failure: SubjectRaised,
) -> tuple[Instance, Tensor]:  # fmt: skip
    """An instance after its first step, in the first manner in which it goes through.

    Args:
        constructor, kwargs: of the optimizer.
        around: the step.
        k: the batch element.
        eta: the step size.
        failure: of the manner that was tried before.

    Raises:
        NotRun: there is none.
    """
    if "process group" in str(failure).lower():
        form_a_group_of_one()

    def begin(manner: Manner) -> tuple[Instance, Tensor]:
        one = Instance(constructor, kwargs, around.row(k), manner=manner)
        return one, one.play(around, [k], [eta])[0]

    return _first(begin, MANNERS, failure)


def _first(
    attempt: Callable[[Manner], T], found: Iterable[Manner], failure: SubjectRaised | None = None
) -> T:
    for manner in found:
        try:
            return attempt(manner)
        except OutOfMemory:
            raise
        except SubjectRaised as raised:
            failure = failure or raised
        except SubjectFailed:
            if failure is None:
                raise
    assert failure is not None
    raise NotRun(f"could not be run: it {failure}") from failure.__cause__


def form_a_group_of_one() -> None:
    """For an optimizer that asks its rank."""
    from torch import distributed

    if distributed.is_available() and not distributed.is_initialized():
        store = distributed.HashStore()  # type: ignore[attr-defined]
        distributed.init_process_group("gloo", store=store, rank=0, world_size=1)


def _kind(parameter: Tensor) -> tuple[object, object, object]:
    return parameter.dtype, parameter.device, tuple(parameter.shape)


def phase(method: Callable[..., Any], *, zero_grad: bool) -> None:
    """A phase of SAM, told what it takes."""
    method(zero_grad=zero_grad) if "zero_grad" in parameters_of(method) else method()


def _takes_closure(step: Callable[..., Any], *, optional: bool) -> bool:
    """Whether a closure is required; or, if optional, can be given at all."""
    closure = parameters_of(step).get("closure")
    return closure is not None and (optional or closure.default is Parameter.empty)


def parameters_of(method: Any) -> Mapping[str, Parameter]:
    """What it takes, by name; nothing where that is not known."""
    try:
        return inspect.signature(method).parameters
    except (TypeError, ValueError):
        return {}


def _ratios(groups: list[dict[str, Any]]) -> dict[int, float]:
    """Each group's lr over the first one's."""
    first = float(groups[0]["lr"] or 0) if groups else 0.0
    return {id(g): float(g["lr"] or 0) / first if first else 1.0 for g in groups}
