"""Symbols: what a rule computes with while it is traced, in place of tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Self

import torch

from limitpoint.engines.trace.graph import (
    BOOL,
    NUMBER,
    PLAIN,
    SCALED,
    Graph,
    Node,
    NotTraceable,
    branch,
)
from limitpoint.engines.trace.graph import is_all as is_known_to_be
from limitpoint.numerics import Scaled

#: Operations that are compiled by hand, by the name of the function that they stand for.
PRIMITIVES = ("polar_of", "newton_schulz", "first_largest")


@dataclass(frozen=True)
class Frame:
    """Where symbols live.

    Args:
        graph: what they are written into.
        order: names of the dimensions that there can be, as torch orders them.
        sizes: by name.
    """

    graph: Graph
    order: tuple[str, ...]
    sizes: dict[str, int]


class Symbol:
    """A plain tensor, or a number, that is not known yet.

    Args:
        frame: where it lives.
        node: what it is.
        dims: names of its dimensions, each of full size if the node has the axis, else of size one.
    """

    __hash__ = object.__hash__

    def __init__(self, frame: Frame, node: Node, dims: tuple[str, ...]) -> None:
        self.frame, self.node, self.dims = frame, node, dims

    # ------------------------------------------------------------------------------------- form

    @property
    def shape(self) -> torch.Size:
        """Shape, of one problem."""
        sizes = (self.frame.sizes[d] if d in self.node.axes else 1 for d in self.dims)
        return torch.Size(sizes)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.dims)

    dtype = torch.float64

    def _like(self, node: Node, dims: tuple[str, ...] | None = None) -> Symbol:
        return type(self)(self.frame, node, self.dims if dims is None else dims)

    def _axis(self, dim: int) -> str:
        if not -len(self.dims) <= dim < len(self.dims):
            raise NotTraceable(f"dimension {dim} of a value with {len(self.dims)}")
        return self.dims[dim]

    def unsqueeze(self, dim: int) -> Self:
        """With another dimension of size one, where the frame has one."""
        place = dim + len(self.dims) + 1 if dim < 0 else dim
        order = self.frame.order
        for name in order:
            dims = (*self.dims[:place], name, *self.dims[place:])
            if any(dims == order[i : i + len(dims)] for i in range(len(order))):
                return self._like(self.node, dims)  # type: ignore[return-value]
        raise NotTraceable(f"unsqueeze({dim})")

    def squeeze(self, dim: int) -> Self:
        """Without a dimension of size one."""
        axis = self._axis(dim)
        if axis in self.node.axes:
            raise NotTraceable(f"squeeze({dim}) of a dimension that is not of size one")
        return self._like(self.node, self._without((axis,)))  # type: ignore[return-value]

    def expand(self, *sizes: Any) -> Symbol:
        """Spread over all of its dimensions."""
        node = self.frame.graph.make("spread", self.node, axes=frozenset(self.dims))
        return self._like(node)

    def expand_as(self, other: Any) -> Symbol:
        """Spread over all of its dimensions."""
        return self.expand()

    def clone(self) -> Self:
        """As it is: nothing is changed in place."""
        return self

    def _without(self, axes: Sequence[str]) -> tuple[str, ...]:
        return tuple(dim for dim in self.dims if dim not in axes)

    def _over(self, dim: Any) -> tuple[str, ...]:
        if dim is None or dim == ():
            return self.dims
        return tuple(self._axis(d) for d in ((dim,) if isinstance(dim, int) else dim))

    def _reduced(self, op: str, dim: Any, keepdim: bool) -> Symbol:
        over = self._over(dim)
        through, node = self.node.axes & frozenset(over), self.node
        if through:
            node = self.frame.graph.make(
                op, node, axes=node.axes - through, data=tuple(sorted(through))
            )
        return Symbol(self.frame, node, self.dims if keepdim else self._without(over))

    # ------------------------------------------------------------------------------- arithmetic

    def made(self, op: str, *others: Any) -> Symbol:
        """An entrywise operation with others."""
        frame = self.frame
        parts = [self, *(lift(frame, other) for other in others)]
        dims = _common([part.dims for part in parts])
        return Symbol(frame, frame.graph.make(op, *(part.node for part in parts)), dims)

    def __add__(self, other: Any) -> Symbol:
        return _or_defer(self, "add", other)

    def __radd__(self, other: Any) -> Symbol:
        return lift(self.frame, other).made("add", self)

    def __sub__(self, other: Any) -> Symbol:
        return _or_defer(self, "sub", other)

    def __rsub__(self, other: Any) -> Symbol:
        return lift(self.frame, other).made("sub", self)

    def __mul__(self, other: Any) -> Symbol:
        return _or_defer(self, "mul", other)

    def __rmul__(self, other: Any) -> Symbol:
        return lift(self.frame, other).made("mul", self)

    def __truediv__(self, other: Any) -> Symbol:
        return _or_defer(self, "div", other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return lift(self.frame, other).made("div", self)

    def __pow__(self, exponent: Any) -> Symbol:
        power = lift(self.frame, exponent)
        for number, form in _POWERS.items():
            if is_known_to_be(power.node, number):
                return form(self)
        return self.made("pow", power)

    def __rpow__(self, base: Any) -> Symbol:
        return lift(self.frame, base).made("pow", self)

    def __neg__(self) -> Symbol:
        return self.made("neg")

    def __abs__(self) -> Symbol:
        return self.made("abs")

    def _compared(self, op: str, other: Any) -> Any:
        if self.node.op == "t" and isinstance(other, int):
            # The steps of this graph are those from `data` on.
            least = self.node.data
            if op in ("lt", "le") and (other < least or (op == "lt" and other == least)):
                return False
            if op in ("gt", "ge") and (other < least or (op == "ge" and other == least)):
                return True
            if op in ("eq", "ne") and other < least:
                return op == "ne"
            raise NotTraceable(AT_FIRST if other <= 1 else "a branch that depends on the step")
        return self.made(op, other)

    def __lt__(self, other: Any) -> Any:
        return self._compared("lt", other)

    def __le__(self, other: Any) -> Any:
        return self._compared("le", other)

    def __gt__(self, other: Any) -> Any:
        return self._compared("gt", other)

    def __ge__(self, other: Any) -> Any:
        return self._compared("ge", other)

    def __eq__(self, other: object) -> Any:
        return self._compared("eq", other)

    def __ne__(self, other: object) -> Any:
        return self._compared("ne", other)

    def __and__(self, other: Any) -> Symbol:
        return self.made("and", other)

    def __or__(self, other: Any) -> Symbol:
        return self.made("or", other)

    def __invert__(self) -> Symbol:
        return self.made("not")

    def __bool__(self) -> bool:
        return branch(self.node, "the iterate, its gradient or the step")

    def __float__(self) -> float:
        raise NotTraceable("float() of a value that is not known yet")

    __int__ = __index__ = __len__ = __float__

    def __iter__(self) -> NoReturn:
        raise NotTraceable("a loop over a tensor")

    # -------------------------------------------------------------------------------- functions

    def abs(self) -> Symbol:
        """|x|."""
        return self.made("abs")

    def sign(self) -> Symbol:
        """-1, 0 or 1."""
        return self.made("sign")

    def sqrt(self) -> Symbol:
        """Square root."""
        return self.made("sqrt")

    def square(self) -> Symbol:
        """x^2."""
        return self.made("mul", self)

    def exp(self) -> Symbol:
        """e^x."""
        return self.made("exp")

    def log(self) -> Symbol:
        """log x."""
        return self.made("log")

    def log1p(self) -> Symbol:
        """log(1 + x)."""
        return self.made("log1p")

    def expm1(self) -> Symbol:
        """e^x - 1."""
        return self.made("expm1")

    def tanh(self) -> Symbol:
        """Hyperbolic tangent."""
        return self.made("tanh")

    def log_ndtr(self) -> Symbol:
        """log Phi(x)."""
        return self.made("log_ndtr")

    def pow(self, exponent: Any) -> Symbol:
        """x^exponent."""
        return self**exponent

    def maximum(self, other: Any) -> Symbol:
        """The larger of both."""
        return self.made("max", other)

    def minimum(self, other: Any) -> Symbol:
        """The smaller of both."""
        return self.made("min", other)

    def clamp(self, min: Any = None, max: Any = None) -> Symbol:
        """Within bounds."""
        found = self if min is None else self.maximum(min)
        return found if max is None else found.minimum(max)

    def clamp_min(self, bound: Any) -> Symbol:
        """No less than a bound."""
        return self.maximum(bound)

    def clamp_max(self, bound: Any) -> Symbol:
        """No more than a bound."""
        return self.minimum(bound)

    def softplus(self) -> Symbol:
        """log(1 + e^x) without overflow."""
        return self.maximum(0.0) + (-self.abs()).exp().log1p()

    def sum(self, dim: Any = None, *, keepdim: bool = False) -> Symbol:
        """Sum over dimensions."""
        return self._reduced("sum", dim, keepdim)

    def mean(self, dim: Any = None, *, keepdim: bool = False) -> Symbol:
        """Mean over dimensions."""
        if self.node.op == "gradients" and self._over(dim) == ("g",):
            return _batch_mean(self)
        return self._reduced("mean", dim, keepdim)

    def amax(self, dim: Any = None, *, keepdim: bool = False) -> Symbol:
        """Largest entry over dimensions."""
        return self._reduced("amax", dim, keepdim)

    def amin(self, dim: Any = None, *, keepdim: bool = False) -> Symbol:
        """Smallest entry over dimensions."""
        return -(-self)._reduced("amax", dim, keepdim)

    def logsumexp(self, dim: Any, *, keepdim: bool = False) -> Symbol:
        """log sum exp over dimensions, one of which at least is finite."""
        top = self.amax(dim, keepdim=True)
        whole = (self - top).exp().sum(dim, keepdim=True).log() + top
        return whole if keepdim else Symbol(whole.frame, whole.node, self._without(self._over(dim)))

    def norm(self, p: Any = 2, dim: Any = None, *, keepdim: bool = False) -> Symbol:
        """Entrywise p-norm over dimensions."""
        power = lift(self.frame, p)
        if is_known_to_be(power.node, math.inf):
            return self.abs().amax(dim, keepdim=keepdim)
        return (self.abs() ** power).sum(dim, keepdim=keepdim) ** (1 / power)

    def primitive(self, name: str, *settings: float) -> Symbol:
        """What is compiled by hand."""
        if name not in PRIMITIVES:
            raise NotTraceable(f"the function {name}")
        args = [lift(self.frame, setting).node for setting in settings]
        make = self.frame.graph.make
        return self._like(make(name, self.node, *args, axes=frozenset(self.dims)))

    def scaled(self) -> SymbolicScaled:
        """With an exponent for each entry."""
        node = self.frame.graph.make("scaled", self.node, kind=SCALED)
        return SymbolicScaled(Symbol(self.frame, node, self.dims))

    def scaled_exp(self) -> SymbolicScaled:
        """e^x without overflow."""
        node = self.frame.graph.make("scaled_exp", self.node, kind=SCALED)
        return SymbolicScaled(Symbol(self.frame, node, self.dims))

    def __getattr__(self, name: str) -> NoReturn:
        # Python and torch ask for some of their own, and take no for an answer.
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotTraceable(f"Tensor.{name}")

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        found = _FUNCTIONS.get(function)
        if found is None:
            raise NotTraceable(f"torch's {getattr(function, '__name__', function)}")
        return found(*args, **(kwargs or {}))


class SymbolicScaled(Scaled):
    """A `Scaled` value that is not known yet, around the symbol of it."""

    __slots__ = ("symbol",)
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __init__(self, symbol: Symbol) -> None:
        self.symbol = symbol

    @property
    def mantissa(self) -> NoReturn:  # type: ignore[override]
        """Nobody's business: a rule uses the functions of `limitpoint.numerics`."""
        raise NotTraceable("the mantissa of a Scaled value")

    exponent = mantissa

    @property
    def shape(self) -> torch.Size:
        """Shape, of one problem."""
        return self.symbol.shape

    def _make(self, op: str, *others: SymbolicScaled, kind: str = SCALED) -> Symbol:
        frame = self.symbol.frame
        parts = [self.symbol, *(other.symbol for other in others)]
        node = frame.graph.make(op, *(part.node for part in parts), kind=kind)
        return Symbol(frame, node, _common([part.dims for part in parts]))

    def _met(self, other: Any) -> SymbolicScaled:
        if isinstance(other, SymbolicScaled):
            return other
        if isinstance(other, Scaled):
            number = other.tensor()
            if number.ndim or not 1e-300 < abs(float(number)) < 1e300:
                raise NotTraceable("a Scaled value that is known beforehand")
            other = float(number)
        return lift(self.symbol.frame, other).scaled()

    def map(self, form: Callable[[Any], Any]) -> SymbolicScaled:
        """In another form."""
        return SymbolicScaled(form(self.symbol))

    def tensor(self) -> Symbol:  # type: ignore[override]
        """As a plain tensor."""
        return self._make("tensor", kind=PLAIN)

    def log_abs(self) -> Symbol:  # type: ignore[override]
        """Logarithm of the absolute value."""
        return self._make("log_abs", kind=PLAIN)

    def signed(self, signs: Any) -> SymbolicScaled:
        """Times signs."""
        return self * signs

    def sqrt(self) -> SymbolicScaled:
        """Square root."""
        return SymbolicScaled(self._make("sqrt"))

    def sign(self) -> Symbol:  # type: ignore[override]
        """-1, 0 or 1."""
        return self._make("scaled_sign", kind=PLAIN)

    def where(self, condition: Any, other: Scaled) -> SymbolicScaled:
        """These entries where a condition holds, else those of another."""
        symbol, met = self.symbol, self._met(other).symbol
        parts = [lift(symbol.frame, condition), symbol, met]
        node = symbol.frame.graph.make("where", *(part.node for part in parts), kind=SCALED)
        return SymbolicScaled(Symbol(symbol.frame, node, _common([part.dims for part in parts])))

    def maximum(self, other: Scaled) -> SymbolicScaled:
        """The larger of both."""
        return self.where((self - other).sign() >= 0, other)

    def over(self, other: Scaled) -> Symbol:  # type: ignore[override]
        """The quotient as a plain tensor, and zero where the other is zero."""
        return self._make("over", self._met(other), kind=PLAIN)

    def _at(self, exponent: Symbol) -> Symbol:  # type: ignore[override]
        symbol = self.symbol
        node = symbol.frame.graph.make("at", symbol.node, exponent.node, kind=PLAIN)
        return Symbol(symbol.frame, node, _common([symbol.dims, exponent.dims]))

    def _joined(self, mantissa: Symbol, exponent: Symbol) -> SymbolicScaled:
        frame = self.symbol.frame
        node = frame.graph.make("join", mantissa.node, exponent.node, kind=SCALED)
        return SymbolicScaled(Symbol(frame, node, _common([mantissa.dims, exponent.dims])))

    def largest(self, dims: tuple[int, ...]) -> SymbolicScaled:
        """Largest absolute value over dimensions, kept with size one."""
        top = self._make("exponent", kind=PLAIN).amax(dims, keepdim=True)
        return self._joined(self._at(top).abs().amax(dims, keepdim=True), top)

    def sum(self, dims: Any, *, keepdim: bool = False) -> SymbolicScaled:
        """Sum over dimensions."""
        top = self._make("exponent", kind=PLAIN).amax(dims, keepdim=True)
        found = self._joined(self._at(top).sum(dims, keepdim=True), top)
        if keepdim:
            return found
        dropped = self.symbol._without(self.symbol._over(dims))
        return found.map(lambda part: Symbol(part.frame, part.node, dropped))

    def mean(self, dim: int) -> SymbolicScaled:
        """Mean over one dimension, dropped."""
        if self.symbol.node.op == "gradients" and self.symbol._axis(dim) == "g":
            return SymbolicScaled(_batch_mean(self.symbol))
        frame = self.symbol.frame
        size = frame.graph.make("size", axes=NUMBER, data=self.symbol._axis(dim))
        return self.sum((dim,)) / Symbol(frame, size, ())

    def primitive(self, name: str, *settings: float) -> NoReturn:
        """None is compiled by hand for these."""
        raise NotTraceable(f"the function {name} of a Scaled value")

    def __neg__(self) -> SymbolicScaled:
        return SymbolicScaled(self._make("neg"))

    def __abs__(self) -> SymbolicScaled:
        return SymbolicScaled(self._make("abs"))

    def __mul__(self, other: Any) -> SymbolicScaled:
        return SymbolicScaled(self._make("mul", self._met(other)))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> SymbolicScaled:
        return SymbolicScaled(self._make("div", self._met(other)))

    def __rtruediv__(self, other: Any) -> SymbolicScaled:
        return self._met(other) / self

    def __add__(self, other: Any) -> SymbolicScaled:
        if not isinstance(other, Scaled):
            return super().__add__(other)  # type: ignore[return-value]
        met = self._met(other)
        if met.symbol.node.op == "scaled" and is_known_to_be(met.symbol.node.args[0], 0.0):
            return self
        return SymbolicScaled(self._make("add", met))

    def __radd__(self, other: Any) -> SymbolicScaled:  # type: ignore[override]
        return self + other

    def __sub__(self, other: Any) -> SymbolicScaled:
        return self + (-other if isinstance(other, Scaled) else other)

    def __rsub__(self, other: Any) -> SymbolicScaled:  # type: ignore[override]
        return -self + other

    def __eq__(self, other: object) -> Any:
        raise NotTraceable("== of Scaled values")


def _batch_mean(gradients: Symbol) -> Symbol:
    """The batches' gradients together: one gradient, with a point for each batch."""
    node = gradients.node
    found = gradients.frame.graph.make(
        "batch_mean", *node.args, kind=node.kind, axes=node.axes - {"g"}, data=node.data
    )
    return Symbol(gradients.frame, found, gradients._without(("g",)))


def lift(frame: Frame, value: Any) -> Symbol:
    """A symbol for a value that a rule's own code has.

    Raises:
        NotTraceable: it is none that the compiled code could have.
    """
    if isinstance(value, Symbol):
        return value
    if isinstance(value, bool | int | float):
        return Symbol(frame, frame.graph.number(float(value)), ())
    kind = "a tensor of its own" if isinstance(value, torch.Tensor) else type(value).__name__
    raise NotTraceable(f"arithmetic with {kind}")


def _or_defer(x: Symbol, op: str, other: Any) -> Any:
    # `symbol * scaled` is the other's to answer.
    return NotImplemented if isinstance(other, Scaled) else x.made(op, other)


def _common(dims: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The dimensions of what broadcasts together, aligned at the last one."""
    longest = max(dims, key=len)
    for each in dims:
        if each != longest[len(longest) - len(each) :]:
            raise NotTraceable(f"dimensions {each} that meet {longest}")
    return longest


#: Why a step has a graph of its own for t = 0.
AT_FIRST = "a branch that depends on whether it is the first step"
_POWERS: dict[float, Callable[[Symbol], Symbol]] = {
    1.0: lambda x: x,
    2.0: lambda x: x.square(),
    0.5: lambda x: x.sqrt(),
    -1.0: lambda x: 1 / x,
}


def _where(condition: Any, x: Any, y: Any) -> Symbol:
    frame = next(part.frame for part in (condition, x, y) if isinstance(part, Symbol))
    condition, x, y = (lift(frame, part) for part in (condition, x, y))
    if condition.node.kind != BOOL:
        raise NotTraceable("torch.where with a condition that is no comparison")
    node = frame.graph.make("where", condition.node, x.node, y.node)
    return Symbol(frame, node, _common([condition.dims, x.dims, y.dims]))


def _full(x: Symbol, number: float) -> Symbol:
    return Symbol(x.frame, x.frame.graph.number(number), x.dims)


def _either(method: str) -> Callable[..., Symbol]:
    """A function of two, of which either may be a number."""

    def call(x: Any, y: Any) -> Symbol:
        frame = (x if isinstance(x, Symbol) else y).frame
        found: Symbol = getattr(lift(frame, x), method)(y)
        return found

    return call


def _softplus(x: Symbol, beta: float = 1.0, threshold: float = 20.0) -> Symbol:
    if beta != 1.0:
        raise NotTraceable("softplus with another beta")
    return x.softplus()


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    torch.where: _where,
    torch.maximum: _either("maximum"),
    torch.minimum: _either("minimum"),
    torch.mul: _either("__mul__"),
    torch.add: _either("__add__"),
    torch.zeros_like: lambda x, **_: _full(x, 0.0),
    torch.ones_like: lambda x, **_: _full(x, 1.0),
    torch.full_like: lambda x, number, **_: _full(x, number),
    torch.linalg.vector_norm: lambda x, ord=2, dim=None, keepdim=False: x.norm(
        ord, dim, keepdim=keepdim
    ),
    torch.nn.functional.softplus: _softplus,
    torch.nn.functional.logsigmoid: lambda x: -(-x).softplus(),
    torch.special.log_ndtr: Symbol.log_ndtr,
    **{
        getattr(torch, name): getattr(Symbol, name)
        for name in (
            "abs", "sign", "sqrt", "square", "exp", "log", "log1p", "expm1", "tanh", "pow",
            "clamp", "sum", "mean", "amax", "amin", "logsumexp",
        )
    },
}  # fmt: skip
