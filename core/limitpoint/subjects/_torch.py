"""Any torch optimizer as an update rule."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import Parameter
from typing import Any

import torch
from torch import Tensor

from limitpoint.errors import Inconclusive, NotApplicable, SubjectFailed
from limitpoint.optimizers import Rule
from limitpoint.problem import Oracle, Problem
from limitpoint.scaled import Scaled
from limitpoint.subjects._guards import SubjectRaised, blamed, time_limit
from limitpoint.subjects._signature import Accepted

PATIENCE = 10


@dataclass(frozen=True, eq=False)
class TorchOptimizer(Rule):
    """An optimizer of the field as a rule: one parameter and one optimizer per batch element.

    Classes with `step()`, with `step(closure)` where the closure is required, and with the two
    phases `first_step` and `second_step` of SAM. A class that refuses a parameter which is no
    matrix is given it as one: (1, d), or (first, rest).

    Args:
        step_size: set as the groups' "lr" before each step.
        constructor: (params, **kwargs) -> optimizer.
        kwargs: its arguments; a tensor that broadcasts over the batch is given entry by entry.
        log_loss_scale: the gradients handed over are exp(log_loss_scale) times the true ones.
        timeout: seconds of wall time from `init` on, or None.
        target: what the ledger calls it.
    """

    constructor: Callable[..., Any] = torch.optim.SGD
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    log_loss_scale: float = 0.0
    timeout: float | None = None
    target: str = ""

    @property
    def name(self) -> str:
        """What the ledger calls it."""
        return self.target or getattr(self.constructor, "__name__", type(self).__name__)

    def init(self, oracle: Oracle, w: Tensor) -> State:
        """One optimizer for each batch element of w (*batch, *parameter), float64.

        Raises:
            SubjectFailed: an argument is missing, or the constructor raised.
            NotApplicable: the step size has to decay and the optimizer has no groups to say so.
        """
        self._check_required()
        started = time.monotonic()
        with time_limit(self.timeout, self._time_up("in its constructor")):
            seats = [
                _seated(self.constructor, self._arguments(k, oracle, w), row)
                for k, row in enumerate(_rows(w, oracle.ndim))
            ]
        decaying = bool((torch.as_tensor(self.step_size.decay) != 0).any())
        if decaying and not all(seat.groups() for seat in seats):
            raise NotApplicable(
                "hypothesis not met: a decaying step size (the subject has no param_groups "
                'with an "lr" to set)'
            )
        return State(seats, started)

    def step(self, oracle: Oracle, w: Tensor, state: State, t: int) -> tuple[Tensor, State]:
        """One step of every optimizer from w; see `Rule.step`.

        Raises:
            SubjectFailed: it raised, left the numbers, changed its parameter's kind, did not move
                or took too long.
            Inconclusive: the gradient to hand over is beyond float64's range.
        """
        field_at_w = _Field(oracle, w, self.log_loss_scale, t)
        etas = _entries(self.step_size.at(t), w, oracle.ndim)
        left = self._seconds_left(state)
        with time_limit(left, self._time_up(f"at step {t}")):
            for k, eta in enumerate(etas):
                self._advance(state, k, field_at_w, eta)
        if left is not None and self._seconds_left(state) <= 0:  # type: ignore[operator]
            raise SubjectFailed(self._time_up(f"at step {t}"))
        iterates = [seat.iterate() for seat in state.seats]
        return torch.stack(iterates).reshape(w.shape), state

    def _advance(self, state: State, k: int, around: _Field, eta: float) -> None:
        """Step one seat; a first step that fails is tried again with the parameter as a matrix."""
        seat, row = state.seats[k], around.row(k)
        try:
            seat.play(around, k, eta)
        except SubjectRaised:
            if around.t or seat.parameter.ndim == 2:
                raise
            matrix = self._second_try(around, k)
            if matrix is None or not _plays(matrix, around, k, eta):
                raise
            state.seats[k] = seat = matrix
        seat.check(row, around.t)
        seat.check_moving(row, around.gradient(k, row), eta)

    def _second_try(self, around: _Field, k: int) -> Seat | None:
        arguments = self._arguments(k, around.oracle, around.w)
        try:
            return Seat(self.constructor, arguments, around.row(k), as_matrix=True)
        except SubjectFailed:
            return None

    def _arguments(self, k: int, oracle: Oracle, w: Tensor) -> dict[str, Any]:
        return {
            name: _entries(value, w, oracle.ndim)[k] if _batched(value) else value
            for name, value in self.kwargs.items()
        }

    def _check_required(self) -> None:
        required = Accepted.by(self.constructor, skip=1).required()
        missing = [name for name in required if name not in self.kwargs]
        if missing:
            raise SubjectFailed(
                f"{self.name} needs the argument {missing[0]!r}: add {missing[0]}=... to --subject"
            )

    def _seconds_left(self, state: State) -> float | None:
        if self.timeout is None:
            return None
        return self.timeout - (time.monotonic() - state.started)

    def _time_up(self, where: str) -> str:
        return f"exceeded its time limit of {self.timeout or 0:g} s {where}"


@dataclass
class State:
    """The optimizers at work, which carry their own state, and when they began."""

    seats: list[Seat]
    started: float


class Seat:
    """One optimizer and its one parameter.

    Args:
        constructor: ([parameter], **kwargs) -> optimizer.
        kwargs: its arguments.
        w: the start, float64.
        as_matrix: present the parameter as (1, d) or (first, rest).
    """

    def __init__(
        self,
        constructor: Callable[..., Any],
        kwargs: Mapping[str, Any],
        w: Tensor,
        *,
        as_matrix: bool = False,
    ) -> None:
        shown = w.reshape(1, -1) if w.ndim < 2 else w.flatten(1)
        self.shape = w.shape
        self.parameter = torch.nn.Parameter((shown if as_matrix else w).clone())
        self.presented = self.parameter.shape
        with blamed("in its constructor"):
            self.optimizer = constructor([self.parameter], **kwargs)
        self.two_phase = hasattr(self.optimizer, "first_step")
        if not self.two_phase and not callable(getattr(self.optimizer, "step", None)):
            kind = type(self.optimizer).__name__
            raise SubjectFailed(f"made a {kind}, which has no step(): not an optimizer")
        self.needs_closure = not self.two_phase and _needs_closure(self.optimizer.step)
        self.ratios = _ratios(self.groups())
        self.idle: int | None = 0

    def groups(self) -> list[dict[str, Any]]:
        """The parameter groups with an "lr", those of a wrapped optimizer included."""
        wrapped = getattr(self.optimizer, "base_optimizer", None)
        found = [
            group
            for owner in (self.optimizer, wrapped)
            for group in getattr(owner, "param_groups", ())
        ]
        return [group for group in {id(g): g for g in found}.values() if "lr" in group]

    def iterate(self) -> Tensor:
        """The parameter's value, in the problem's own shape."""
        return self.parameter.detach().clone().reshape(self.shape)

    def play(self, around: _Field, k: int, eta: float) -> None:
        """One step of size eta from the iterate of batch element k."""
        with torch.no_grad():
            self.parameter.copy_(around.row(k).reshape(self.presented))
        self._hand_over(around, k)
        with blamed(f"at step {around.t}"):
            # The ratios between groups are the subject's; the schedule is the theorem's.
            for group in self.groups():
                group["lr"] = eta * self.ratios.get(id(group), 1.0)
            if self.two_phase:
                self._two_steps(around, k)
            elif self.needs_closure:
                self.optimizer.step(lambda: self._closure(around, k))
            else:
                self.optimizer.step()

    def _hand_over(self, around: _Field, k: int) -> None:
        gradient = around.gradient(k, self.iterate())
        self.parameter.grad = gradient.reshape(self.presented).clone()

    def _closure(self, around: _Field, k: int) -> Tensor:
        self._hand_over(around, k)
        return around.value(k, self.iterate())

    def _two_steps(self, around: _Field, k: int) -> None:
        _phase(self.optimizer.first_step)
        self._hand_over(around, k)
        _phase(self.optimizer.second_step)

    def check(self, before: Tensor, t: int) -> None:
        """Raise SubjectFailed unless the parameter is still of its kind, and finite."""
        for what, old, new in (
            ("dtype", before.dtype, self.parameter.dtype),
            ("device", before.device, self.parameter.device),
            ("shape", tuple(self.presented), tuple(self.parameter.shape)),
        ):
            if old != new:
                old, new = (str(x).removeprefix("torch.") for x in (old, new))
                raise SubjectFailed(
                    f"changed its parameter's {what} from {old} to {new} at step {t}"
                )
        if not bool(torch.isfinite(self.parameter).all()):
            kind = "NaN" if bool(torch.isnan(self.parameter).any()) else "infinite"
            raise SubjectFailed(f"its iterate became {kind} at step {t}")

    def check_moving(self, before: Tensor, gradient: Tensor, eta: float) -> None:
        """Raise SubjectFailed at the tenth step if there was no movement yet.

        Only steps count on which plain gradient descent would have moved: at a minimum, to
        rounding, nobody has to.
        """
        if self.idle is None:
            return
        if not torch.equal(self.iterate(), before):
            self.idle = None
            return
        self.idle += not torch.equal(before - eta * gradient, before)
        if self.idle == PATIENCE:
            raise SubjectFailed(f"did not move in its first {PATIENCE} steps")


class _Field:
    """Values and gradients, as they are handed over, of the elements of one batch at step t."""

    def __init__(self, oracle: Oracle, w: Tensor, log_loss_scale: float, t: int) -> None:
        self.oracle, self.w, self.t = oracle, w.detach().contiguous(), t
        self.log_loss_scale = log_loss_scale
        self._at_w: Tensor | None = None

    def row(self, k: int) -> Tensor:
        """Batch element k of w."""
        return _rows(self.w, self.oracle.ndim)[k]

    def gradient(self, k: int, point: Tensor) -> Tensor:
        """Gradient of element k at a point, times exp(log_loss_scale)."""
        with torch.no_grad():
            if not torch.equal(point, self.row(k)):
                return self._handed(self._moved(k, point))[k]
            if self._at_w is None:
                self._at_w = self._handed(self.w)
            return self._at_w[k]

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
        _rows(w, self.oracle.ndim)[k] = point
        return w

    def _factor(self, w: Tensor) -> Tensor:
        return torch.exp(w.new_tensor(self.log_loss_scale))

    def _handed(self, w: Tensor) -> Tensor:
        """The batch's gradients as plain tensors, shape (elements, *parameter)."""
        g = self.oracle.grad(w)
        if isinstance(g, Scaled):
            mantissa, handed = g.mantissa, Scaled(g.mantissa, g.log_scale + self.log_loss_scale)
            plain = handed.tensor()
        else:
            mantissa, plain = g, g * self._factor(w)
        rows, ndim = _rows(plain, self.oracle.ndim), self.oracle.ndim
        for handed_row, true_row in zip(rows, _rows(mantissa, ndim), strict=True):
            _check_range(handed_row, true_row, self.t)
        return rows


def _check_range(handed: Tensor, mantissa: Tensor, t: int) -> None:
    """Raise Inconclusive where float64, and nobody else, lost the gradient."""
    if not bool(handed.any()) and bool(mantissa.any()):
        raise Inconclusive(f"precision ran out at step {t}: the gradient is below float64's range")
    if bool(torch.isfinite(mantissa).all()) and not bool(torch.isfinite(handed).all()):
        raise Inconclusive(f"precision ran out at step {t}: the gradient is above float64's range")


def _seated(constructor: Callable[..., Any], kwargs: Mapping[str, Any], w: Tensor) -> Seat:
    """A seat with the parameter as it is, or as a matrix if the class takes only that."""
    try:
        return Seat(constructor, kwargs, w)
    except SubjectRaised:
        if w.ndim == 2:
            raise
        try:
            return Seat(constructor, kwargs, w, as_matrix=True)
        except SubjectRaised:
            pass
        raise


def _plays(seat: Seat, around: _Field, k: int, eta: float) -> bool:
    try:
        seat.play(around, k, eta)
    except SubjectRaised:
        return False
    return True


def _phase(method: Callable[..., Any]) -> None:
    method(zero_grad=True) if "zero_grad" in _parameters(method) else method()


def _needs_closure(step: Callable[..., Any]) -> bool:
    closure = _parameters(step).get("closure")
    return closure is not None and closure.default is Parameter.empty


def _parameters(method: Callable[..., Any]) -> Mapping[str, Parameter]:
    try:
        return inspect.signature(method).parameters
    except (TypeError, ValueError):
        return {}


def _ratios(groups: list[dict[str, Any]]) -> dict[int, float]:
    """Each group's lr over the first one's."""
    first = float(groups[0]["lr"] or 0) if groups else 0.0
    return {id(g): float(g["lr"] or 0) / first if first else 1.0 for g in groups}


def _rows(w: Tensor, ndim: int) -> Tensor:
    """One row a batch element: (*batch, *parameter) -> (elements, *parameter); a view."""
    return w.reshape(-1, *w.shape[w.ndim - ndim :])


def _batched(value: Any) -> bool:
    return isinstance(value, Tensor) and value.numel() > 1


def _entries(value: float | Tensor, w: Tensor, ndim: int) -> list[float]:
    """What each batch element gets of a number, or of a tensor that broadcasts over the batch."""
    batch = w.shape[: w.ndim - ndim]
    entries = torch.as_tensor(value, dtype=w.dtype).broadcast_to(*batch, *(1,) * ndim)
    return entries.reshape(-1).tolist()
