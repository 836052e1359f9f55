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

kernel = njit(no_cfunc_wrapper=True, **OPTIONS)
#: For arithmetic whose order is the point: compensated sums, range reductions.
exact = njit(**{**OPTIONS, "fastmath": {"contract"}}, no_cfunc_wrapper=True, forceinline=True)
#: What Python would call by would cost more to compile than what is called: it must not call these.
INNER: dict[str, Any] = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inner = njit(**INNER)
inline = njit(forceinline=True, **INNER)


class Task(NamedTuple):
    """One problem as the units see it: its data, its parts' addresses, and room to work in.

    A task lies in memory, and units are given its address: it is some hundred words long.

    Args:
        X: examples, shape (n, d) padded to whole lanes; for multiclass (d, n).
        y: targets or labels, shape (n).
        loss: numbers of the loss's own.
        settings: those of the rule; now: those that it is given step by step.
        w: the iterate, shape (1, rows, d).
        memory, memory_exponent: what the rule keeps, shape (kept, rows, d).
        work, work_exponent: room for values of that form.
        z: rows of n, padded: predictions, then mantissas and exponents of slopes, as many of each
            as there are classes; then room.
        scratch: room for a model, rows of inputs or of the parameter, whichever are longer.
        top: exponents of the slopes, shape (groups, classes).
        predict, pullback, again: addresses of the model's units.
        ascended, descended: of its units for examples that are each moved along their own gradient,
            or 0.
        slopes, apart, values: of the loss's units; `apart` is 0 where slopes have no exponents.
        gradient, gradients, ascend: of the units that put them together.
        rule: of the rule's.
        factor: of the loss.
        mean: whether the loss divides by the number of examples.
        n, d: examples, inputs.
        lo, hi: the examples that a step sees.
        first: address of the task of the first gradient of a step, or 0 for this one.
        backwards: whether pieces are done from the last to the first, as in every other step: what
            the step before has read last is still in the cache.
    """

    X: Any
    y: Any
    loss: Any
    settings: Any
    now: Any
    w: Any
    memory: Any
    memory_exponent: Any
    work: Any
    work_exponent: Any
    z: Any
    scratch: Any
    top: Any
    predict: Any
    pullback: Any
    again: Any
    ascended: Any
    descended: Any
    slopes: Any
    apart: Any
    values: Any
    gradient: Any
    gradients: Any
    ascend: Any
    rule: Any
    factor: Any
    mean: Any
    n: Any
    d: Any
    lo: Any
    hi: Any
    first: Any
    backwards: Any


_f, _i, _b = types.float64, types.int64, types.boolean


def _array(ndim: int) -> Any:
    return types.Array(_f, ndim, "C")


TASK = types.NamedTuple(
    (
        *map(_array, (2, 1, 1, 1, 1, 3, 3, 3, 3, 3, 2, 2, 2)),
        *[_i] * 12,
        *(_f, _b, _i, _i, _i, _i, _i, _b),
    ),
    Task,
)

#: What a unit of each kind is called with; the first number is the address of a task, where there
#: is one.
KINDS = {
    # X, w, lo, hi, n, z, scratch
    "predict": types.Tuple((_array(2), _array(3), _i, _i, _i, _array(2), _array(2))),
    # X, w, lo, hi, n, slopes, out, scratch
    "pullback": types.Tuple((_array(2), _array(3), _i, _i, _i, _array(2), _array(3), _array(2))),
    # task, w, weight, mantissas, exponents
    "again": types.Tuple((_i, _array(3), _f, _array(3), _array(3))),
    # z, y, lo, hi, group size, settings, top
    "slopes": types.Tuple((_array(2), _array(1), _i, _i, _i, _array(1), _array(2))),
    # z, y, classes, start, stop, settings
    "apart": types.Tuple((_array(2), _array(1), _i, _i, _i, _array(1))),
    # z, y, n, classes, settings, out
    "values": types.Tuple((_array(2), _array(1), _i, _i, _array(1), _array(1))),
    # task, points, weight, mantissas, exponents
    "gradient": types.Tuple((_i, _array(3), _f, _array(3), _array(3))),
    # task, points, batch size, mantissas, exponents
    "gradients": types.Tuple((_i, _array(3), _i, _array(3), _array(3))),
    # task, rho, mantissas, exponents
    "ascend": types.Tuple((_i, _f, _array(3), _array(3))),
    # task, t
    "rule": types.Tuple((_i, _i)),
    # task, settings, out
    "integrand": types.Tuple((_i, _array(1), _array(1))),
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


@intrinsic
def stored(typingctx: Any, task: Any) -> Any:
    """Put a task into memory, in a place that belongs to this line; returns its address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = cgutils.alloca_once(builder, context.get_value_type(TASK))
        builder.store(args[0], place)
        return builder.ptrtoint(place, ir.IntType(64))

    return types.int64(TASK), codegen


@intrinsic
def task_at(typingctx: Any, address: Any) -> Any:
    """The task at an address; of what is not used nothing is read."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.inttoptr(args[0], context.get_value_type(TASK).as_pointer())
        return impl_ret_borrowed(context, builder, TASK, builder.load(place))

    return TASK(types.int64), codegen


@inline
def with_examples(task: Any, lo: Any, hi: Any, first: Any, backwards: Any) -> Any:
    """The task of the examples lo..hi."""
    return Task(
        task.X, task.y, task.loss, task.settings, task.now,
        task.w, task.memory, task.memory_exponent, task.work, task.work_exponent,
        task.z, task.scratch, task.top,
        task.predict, task.pullback, task.again, task.ascended, task.descended,
        task.slopes, task.apart, task.values, task.gradient, task.gradients, task.ascend, task.rule,
        task.factor, task.mean, task.n, task.d, lo, hi, first, backwards,
    )  # fmt: skip
