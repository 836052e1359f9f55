"""How compiled units call one another: by address, with a tuple of arguments.

A kernel for each (model, loss, rule) would be compiled for each product. Here each model, loss and
rule is a unit of its own, compiled once, and a run puts the addresses together: the cost of
compiling is a sum. A call by address costs some nanoseconds, and units work on whole arrays.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic

#: Sums may be reordered into lanes and products fused into additions. NaN and infinity keep their
#: meaning (no `nnan`, no `ninf`): a diverging run has to be seen.
LANES = {"reassoc", "contract", "nsz"}
#: No unit makes an array, so none counts references: that would cost more than the work of a small
#: one.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": LANES, "_nrt": False}

kernel = njit(**OPTIONS)
#: For arithmetic whose order is the point: compensated sums, range reductions.
exact = njit(**{**OPTIONS, "fastmath": {"contract"}}, forceinline=True)
inline = njit(forceinline=True, **OPTIONS)


class Task(NamedTuple):
    """One problem as the units see it: its data, its parts' addresses, and room to work in.

    Args:
        X: examples, shape (n, d) padded to whole lanes; for multiclass (d, n).
        y: targets or labels, shape (n).
        z: predictions, then slopes, shape (classes, n), n padded; and room for
            classes + 3 rows more.
        scratch: room for a model, two rows of inputs or of the parameter, whichever are longer.
        top: log-scale of the slopes, shape (groups, classes).
        predict, pullback: addresses of the model's units.
        ascended, descended: addresses of the model's units for examples that are each moved along
            their own gradient, or 0.
        slopes, values: addresses of the loss's units.
        shape: the loss's own parameter, or 0.
        factor: of the loss.
        mean: whether the loss divides by the number of examples.
        n: examples.
        lo, hi: the examples that a step sees.
        ascent_on_all: whether its first gradient is that of all examples all the same.
        backwards: whether pieces are done from the last to the first, as in every other step: what
            the step before has read last is still in the cache.
    """

    X: Any
    y: Any
    z: Any
    scratch: Any
    top: Any
    predict: Any
    pullback: Any
    ascended: Any
    descended: Any
    slopes: Any
    values: Any
    shape: Any
    factor: Any
    mean: Any
    n: Any
    lo: Any
    hi: Any
    ascent_on_all: Any
    backwards: Any


class Slots(NamedTuple):
    """Values mantissa * exp(scale), one scale a row: shapes (S, rows, d) and (S, rows)."""

    mantissa: Any
    scale: Any


_f, _i, _b = types.float64, types.int64, types.boolean


def _array(ndim: int) -> Any:
    return types.Array(_f, ndim, "C")


TASK = types.NamedTuple(
    (
        *(_array(2), _array(1), _array(2), _array(2), _array(2)),
        *(_i, _i, _i, _i, _i, _i, _f, _f, _b, _i, _i, _i, _b, _b),
    ),
    Task,
)
SLOTS = types.NamedTuple((_array(3), _array(2)), Slots)

#: What a unit of each kind is called with.
KINDS = {
    # X, w, lo, hi, n, z, scratch
    "predict": types.Tuple((_array(2), _array(3), _i, _i, _i, _array(2), _array(2))),
    # X, w, lo, hi, n, slopes, out, scratch
    "pullback": types.Tuple((_array(2), _array(3), _i, _i, _i, _array(2), _array(3), _array(2))),
    # z, y, lo, hi, group size, shape, top
    "slopes": types.Tuple((_array(2), _array(1), _i, _i, _i, _f, _array(2))),
    # z, y, n, shape, out
    "values": types.Tuple((_array(2), _array(1), _i, _f, _array(1))),
    # task, w, t, eta, settings, memory, work
    "rule": types.Tuple((TASK, _array(3), _i, _f, _array(1), SLOTS, SLOTS)),
    # task, w, settings, work, out
    "integrand": types.Tuple((TASK, _array(3), _array(1), SLOTS, _array(1))),
}
UNIT = types.void(types.voidptr)


@intrinsic
def invoke(typingctx: Any, address: Any, arguments: Any) -> Any:
    """Call the unit at an address with a tuple of arguments."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = cgutils.alloca_once_value(builder, args[1])
        unit = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
        function = builder.inttoptr(args[0], unit.as_pointer())
        builder.call(function, [builder.bitcast(pointer, ir.IntType(8).as_pointer())])
        return context.get_dummy_value()

    return types.void(types.int64, arguments), codegen


def unpack(kind: str) -> Any:
    """A function from a unit's pointer to the tuple it was called with."""
    expected = KINDS[kind]

    @intrinsic
    def load(typingctx: Any, pointer: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            stored = context.get_value_type(expected).as_pointer()
            value = builder.load(builder.bitcast(args[0], stored))
            return impl_ret_borrowed(context, builder, expected, value)

        return expected(types.voidptr), codegen

    return load
