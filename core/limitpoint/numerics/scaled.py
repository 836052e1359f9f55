"""Tensors of which every entry has an exponent of its own: mantissa * 2^exponent.

On separable data the loss of a fast optimizer reaches e^-400 within a few thousand steps, and the
gradients of two coordinates can be e^-1000 apart. Their squares leave float64's range, and Adam run
in plain float64 *refutes its own theorem falsely*. Here no entry is lost beside another one, and as
the exponents are integers of two, every rescaling is exact: m / sqrt(v), the only thing that the
iterates see, is right to rounding for every entry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import torch
from torch import Tensor

#: Exponent of a zero: below that of any number.
LEAST = -1e300
#: Largest exponent of an exponential.
MAX = 1e299
#: log 2 in two parts, the first with 21 trailing zero bits: k * LN2_HIGH is exact.
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
LOG2_E = 1.4426950408889634
#: A sum so many bits below its largest term is rounding, or that term was cancelled exactly.
CANCELLED = 50.0
#: Then terms are summed in bands of so many bits, from the largest on.
BAND = 64.0
#: A mantissa times a number above this is a normal number.
TINY = 1e-150
#: Exponents up to here are counted one by one; beyond, a mantissa takes over up to `MOST`.
FAR, MOST = 1e15, 1000


class Scaled:
    """A tensor `mantissa * 2^exponent`, always in normal form.

    The absolute value of each mantissa is in [1/2, 1), or it is zero and has the exponent `LEAST`,
    or it is not finite. Exponents beyond 2^53, which float64 cannot step one by one, leave to the
    mantissa what they do not hold. Supports `* /` with tensors, numbers and other
    `Scaled`, `+ -` and `==` (entry by entry) with other `Scaled` alone: whether a sum with a plain
    tensor is `x.tensor() + y` or `x + scaled(y)` has to be said.

    Args:
        mantissa: any shape, any float64; brought to normal form.
        exponent: of two: integers, float64, broadcastable to `mantissa`, at most 1e299 in size.
    """

    __slots__ = ("exponent", "far", "mantissa")
    __hash__ = None  # type: ignore[assignment]

    # Tensor.__mul__ and its kin must defer to the reflected methods below.
    __torch_function__ = torch._C._disabled_torch_function_impl

    def __init__(
        self, mantissa: Tensor, exponent: Tensor | None = None, *, far: bool | None = None
    ) -> None:
        self.mantissa, digits = torch.frexp(mantissa)
        own, factor = digits.to(torch.float64), None
        if exponent is not None:
            self.far = _is_far(exponent) if far is None else far
            own, factor = _sum(exponent, own, self.far)
        else:
            self.far = False
        if factor is not None:
            self.mantissa = self.mantissa * factor
        self.exponent = own.masked_fill_(self.mantissa == 0, LEAST)

    @classmethod
    def _of(cls, mantissa: Tensor, exponent: Tensor, far: bool) -> Scaled:
        """Parts that are in normal form already."""
        found = cls.__new__(cls)
        found.mantissa, found.exponent, found.far = mantissa, exponent, far
        return found

    @property
    def shape(self) -> torch.Size:
        """Shape of the tensor."""
        return self.mantissa.shape

    def map(self, form: Callable[[Tensor], Tensor]) -> Scaled:
        """The same entries in another form, as by `lambda part: part.unsqueeze(-1)`."""
        return Scaled._of(form(self.mantissa), form(self.exponent), self.far)

    def signed(self, signs: Tensor) -> Scaled:
        """The entries times signs that are -1, 0 or 1."""
        return Scaled(self.mantissa * signs, self.exponent, far=self.far)

    def scattered(self, dim: int, index: Tensor, source: Scaled) -> Scaled:
        """A copy with entries put at an index of one dimension, as `Tensor.scatter` does."""
        index = index.expand_as(source.mantissa)
        return Scaled._of(
            self.mantissa.scatter(dim, index, source.mantissa),
            self.exponent.scatter(dim, index, source.exponent),
            self.far or source.far,
        )

    def tensor(self) -> Tensor:
        """The value as a plain tensor; underflows to zero where float64 does, to rounding."""
        # In two halves: 2^1024 is infinite, and a mantissa times it need not be.
        half = (self.exponent / 2).round()
        return self.mantissa * half.exp2() * (self.exponent - half).exp2()

    def log_abs(self) -> Tensor:
        """Natural logarithm of the absolute value; -inf at zeros."""
        return self.mantissa.abs().log() + self.exponent * LN2_LOW + self.exponent * LN2_HIGH

    def sqrt(self) -> Scaled:
        """Square roots of values >= 0."""
        odd = self.exponent.remainder(2)
        root = (self.mantissa * (1 + odd)).sqrt()
        return Scaled(root, (self.exponent - odd) / 2, far=self.far)

    def sign(self) -> Tensor:
        """Signs in {-1, 0, 1}."""
        return self.mantissa.sign()

    def where(self, condition: Tensor, other: Scaled) -> Scaled:
        """These entries where the condition holds, else those of another."""
        return Scaled._of(
            torch.where(condition, self.mantissa, other.mantissa),
            torch.where(condition, self.exponent, other.exponent),
            self.far or other.far,
        )

    def maximum(self, other: Scaled) -> Scaled:
        """The larger of each pair of entries."""
        return self.where((self - other).mantissa >= 0, other)

    def over(self, other: Scaled) -> Tensor:
        """The quotient as a plain tensor, and zero where the other is zero."""
        zero = other.mantissa == 0
        found = self / Scaled._of(other.mantissa + zero, other.exponent, other.far)
        return torch.where(zero, 0.0, found.tensor())

    def largest(self, dims: tuple[int, ...]) -> Scaled:
        """Largest absolute value over dimensions, kept with size one."""
        top = self.exponent.amax(dims, keepdim=True)
        return Scaled(self._at(top).abs().amax(dims, keepdim=True), top, far=self.far)

    def sum(self, dims: tuple[int, ...], *, keepdim: bool = False) -> Scaled:
        """Sum over dimensions.

        Where the largest terms cancel, those decide that are next in size, however far below.
        """
        top = self.exponent.amax(dims, keepdim=True)
        found = Scaled(self._at(top).sum(dims, keepdim=True), top, far=self.far)
        if bool((found.exponent < top - CANCELLED).any()):
            found = _in_bands(self, dims)
        return found if keepdim else found.map(lambda part: part.squeeze(dims))

    def mean(self, dim: int) -> Scaled:
        """Mean over one dimension, dropped."""
        return self.sum((dim,)) / self.shape[dim]

    def __neg__(self) -> Scaled:
        return Scaled._of(-self.mantissa, self.exponent, self.far)

    def __abs__(self) -> Scaled:
        return Scaled._of(self.mantissa.abs(), self.exponent, self.far)

    def __mul__(self, other: Scaled | Tensor | float) -> Scaled:
        if isinstance(other, float | int) and (other == 0 or TINY < abs(other) < 1 / TINY):
            return Scaled(self.mantissa * other, self.exponent, far=self.far)
        other = scaled(other, like=self.mantissa)
        return self._moved(self.mantissa * other.mantissa, other.exponent, other.far)

    __rmul__ = __mul__

    def __truediv__(self, other: Scaled | Tensor | float) -> Scaled:
        if isinstance(other, float | int) and TINY < abs(other) < 1 / TINY:
            return Scaled(self.mantissa / other, self.exponent, far=self.far)
        other = scaled(other, like=self.mantissa)
        return self._moved(self.mantissa / other.mantissa, -other.exponent, other.far)

    def _moved(self, mantissa: Tensor, exponent: Tensor, far: bool) -> Scaled:
        """Another mantissa, at another exponent from here."""
        far = self.far or far
        exponent, factor = _sum(self.exponent, exponent, far)
        return Scaled(mantissa if factor is None else mantissa * factor, exponent, far=far)

    def __rtruediv__(self, other: Tensor | float) -> Scaled:
        return scaled(other, like=self.mantissa) / self

    def __add__(self, other: Scaled) -> Scaled:
        if not isinstance(other, Scaled):
            _refuse("+", other)
        top = torch.maximum(self.exponent, other.exponent)
        return Scaled(self._at(top) + other._at(top), top, far=self.far or other.far)

    def _at(self, exponent: Tensor) -> Tensor:
        """Mantissas at another exponent; for integers exp2 is exact."""
        return self.mantissa * (self.exponent - exponent).exp2()

    def __radd__(self, other: object) -> NoReturn:
        _refuse("+", other)

    def __sub__(self, other: Scaled) -> Scaled:
        if not isinstance(other, Scaled):
            _refuse("-", other)
        return self + (-other)

    def __rsub__(self, other: object) -> NoReturn:
        _refuse("-", other)

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        if not isinstance(other, Scaled):
            _refuse("==", other)
        return (self.mantissa == other.mantissa) & (self.exponent == other.exponent)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return ~(self == other)

    def __repr__(self) -> str:
        return f"Scaled(mantissa={self.mantissa!r}, exponent={self.exponent!r})"


def _is_far(exponent: Tensor) -> bool:
    """Whether there are exponents that float64 cannot count, other than those of zeros."""
    return bool(((exponent.abs() > FAR) & (exponent != LEAST)).any())


def _sum(e: Tensor, f: Tensor, far: bool) -> tuple[Tensor, Tensor | None]:
    """The sum of two exponents; and for a mantissa what float64 does not hold of it, if any."""
    found = e + f
    if not far:
        return found, None
    taken = found - e
    rest = (e - (found - taken)) + (f - taken)
    return found, rest.clamp_(-MOST, MOST).exp2_()


def _refuse(operator: str, other: object) -> NoReturn:
    raise TypeError(
        f"Scaled {operator} {type(other).__name__}: say which, x.tensor() {operator} y or "
        f"x {operator} scaled(y)"
    )


Value = Tensor | Scaled


def scaled(x: Value | float, *, like: Tensor | None = None) -> Scaled:
    """A value with an exponent for each entry.

    Args:
        x: a tensor, a number, or what is `Scaled` already.
        like: where a number goes: a tensor of its device.
    """
    if isinstance(x, Scaled):
        return x
    if symbolic := getattr(x, "scaled", None):  # what a rule is traced with
        found: Scaled = symbolic()
        return found
    device = None if like is None or isinstance(x, Tensor) else like.device
    return Scaled(torch.as_tensor(x, dtype=torch.float64, device=device))


def zeros_like(x: Tensor) -> Scaled:
    """Zeros of a shape: what a moment is before the first gradient."""
    return scaled(torch.zeros_like(x))


def exp(x: Tensor) -> Scaled:
    """e^x without overflow or underflow, up to |x| = 5e298: e^r 2^k, x = k log 2 + r.

    Beyond 1e15, where x is not known to log 2, r is what keeps equal powers equal.
    """
    if symbolic := getattr(x, "scaled_exp", None):
        found: Scaled = symbolic()
        return found
    k = (x * LOG2_E).round()
    inside = k.clamp(-FAR, FAR)
    far = not torch.equal(k, inside) and bool(((k != inside) & k.isfinite()).any())
    k = k.clamp_(-MAX, MAX) if far else inside
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    if far:
        r = (
            r.clamp_(-1, 1)
            .masked_fill_(x > MAX / 2, torch.inf)
            .masked_fill_(x < -MAX / 2, -torch.inf)
        )
    return Scaled(r.exp_(), k, far=far)


def _in_bands(x: Scaled, over: tuple[int, ...]) -> Scaled:
    """The sum, from the largest terms on, until those left are below its last bit."""
    left, found = x, zeros_like(x.mantissa.sum(over, keepdim=True))
    carries = x.mantissa.numel().bit_length()
    while True:
        top = left.exponent.amax(over, keepdim=True)
        if not bool((top + carries > found.exponent.clamp(min=LEAST / 2) - BAND).any()):
            return found
        near = left.exponent >= top - BAND
        band = torch.where(near, left._at(top), 0.0)
        found = found + Scaled(band.sum(over, keepdim=True), top, far=x.far)
        left = zeros_like(band).where(near, left)
