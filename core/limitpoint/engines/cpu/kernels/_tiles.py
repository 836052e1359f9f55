"""Products of matrices in register tiles: the two shapes that every model's work comes down to.

    dots:     out[r, c] += sum_i A[r, i] B[c, i]        both read along their rows
    combine:  out[r, i] += sum_j W[r, j] A[j, i]        weighted sums of rows

A compiler keeps neither's sums in registers by itself: it can't know that `out` is none of the
inputs. So a tile's inner loop is written as LLVM vectors; and so are maxima, whose order a compiler
has to keep for the sake of NaN. Rows are filled up to eight numbers (`pack.LANES`), which are
whole vectors of every processor. A tile is as large as the processor's registers allow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from limitpoint.engines.cpu.kernels._link import kernel


class Processor(NamedTuple):
    """What code is compiled for: numbers in a vector register, and how many registers there are."""

    lanes: int
    registers: int

    @property
    def tile(self) -> tuple[int, int]:
        """The most sums for each load: rows x columns of them, a column's vectors, and one more."""

        counts = range(1, self.registers)
        fit = [(r, c) for r in counts for c in counts if r * c + c + 1 <= self.registers]
        return max(fit, key=lambda tile: tile[0] * tile[1] / sum(tile))


def _processor() -> Processor:
    """The processor that numba compiles for."""
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    has = features.split(",")
    if "+avx512f" in has:
        return Processor(8, 32)
    if "+avx" in has:
        return Processor(4, 16)
    return Processor(2, 32 if triple.startswith(("aarch64", "arm64")) else 16)


PROCESSOR = _processor()
LANES = PROCESSOR.lanes
_DOUBLE, _INT = ir.DoubleType(), ir.IntType(64)
_VECTOR = ir.VectorType(_DOUBLE, LANES)
_MATRIX = types.Array(types.float64, 2, "C")


class _Rows:
    """A matrix as the code generator sees it: pointer and row length."""

    def __init__(self, context: Any, builder: Any, array: Any) -> None:
        self.builder = builder
        view = context.make_array(_MATRIX)(context, builder, array)
        self.data, self.width = view.data, cgutils.unpack_tuple(builder, view.shape)[1]

    def row(self, r: Any, offset: int = 0) -> Any:
        """Pointer to the start of row r + offset."""
        number = self.builder.add(r, _INT(offset))
        return self.builder.gep(self.data, [self.builder.mul(number, self.width)])


def _load(builder: Any, row: Any, i: Any) -> Any:
    pointer = builder.bitcast(builder.gep(row, [i]), _VECTOR.as_pointer())
    return builder.load(pointer, align=8)


def _store(builder: Any, value: Any, row: Any, i: Any) -> None:
    pointer = builder.bitcast(builder.gep(row, [i]), _VECTOR.as_pointer())
    builder.store(value, pointer, align=8)


def _spread(builder: Any, scalar: Any) -> Any:
    """A scalar in every lane."""
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), scalar, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(_VECTOR, ir.Undefined), zeros)


def _add_product(builder: Any, total: Any, a: Any, b: Any) -> None:
    """Total (a place) += a * b, fused where the machine can."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{LANES}f64")
    builder.store(builder.call(function, [a, b, builder.load(total)]), total)


def _over_lanes(builder: Any, vector: Any, combine: Callable[..., Any]) -> Any:
    """Sum, or what else combines two, over the lanes, by halves."""
    width = LANES
    while width > 1:
        width //= 2
        picked = [*range(width, 2 * width), *[0] * (LANES - width)]
        mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), picked)
        vector = combine(builder, builder.shuffle_vector(vector, vector, mask), vector)
    return builder.extract_element(vector, ir.IntType(32)(0))


def _added(builder: Any, new: Any, old: Any) -> Any:
    return builder.fadd(old, new)


def _places(builder: Any, rows: int, columns: int) -> list[list[Any]]:
    zero = _everywhere(0.0)
    return [[cgutils.alloca_once_value(builder, zero) for _ in range(columns)] for _ in range(rows)]


def _dots_tile(rows: int, columns: int) -> Callable[..., None]:
    @intrinsic
    def tile(typingctx: Any, A: Any, r: Any, B: Any, c: Any, lo: Any, hi: Any, out: Any) -> Any:
        """Out[r.., c..] += the dot products of `rows` rows of A and `columns` rows of B."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            a, b, target = (_Rows(context, builder, args[i]) for i in (0, 2, 6))
            sums = _places(builder, rows, columns)
            for place in (place for line in sums for place in line):
                builder.store(_everywhere(0.0), place)
            a_rows = [a.row(args[1], i) for i in range(rows)]
            b_rows = [b.row(args[3], i) for i in range(columns)]
            step = _INT(LANES)
            with cgutils.for_range_slice(builder, args[4], args[5], step, intp=_INT) as (i, _):
                right = [_load(builder, row, i) for row in b_rows]
                for line, row in zip(sums, a_rows, strict=True):
                    left = _load(builder, row, i)
                    for place, other in zip(line, right, strict=True):
                        _add_product(builder, place, left, other)
            for offset, line in enumerate(sums):
                row = target.row(args[1], offset)
                for column, place in enumerate(line):
                    at = builder.gep(row, [builder.add(args[3], _INT(column))])
                    total = _over_lanes(builder, builder.load(place), _added)
                    builder.store(builder.fadd(builder.load(at), total), at)
            return context.get_dummy_value()

        integer = types.int64
        return types.void(_MATRIX, integer, _MATRIX, integer, integer, integer, _MATRIX), codegen

    return tile


def _combine_tile(rows: int, vectors: int) -> Callable[..., None]:
    @intrinsic
    def tile(typingctx: Any, W: Any, r: Any, lo: Any, hi: Any, A: Any, i: Any, out: Any) -> Any:
        """Out[r.., i..] += sum over lo <= j < hi of W[r, j] A[j, i..], `vectors` vectors wide."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            w, a, target = (_Rows(context, builder, args[i]) for i in (0, 4, 6))
            at = [builder.add(args[5], _INT(v * LANES)) for v in range(vectors)]
            out_rows = [target.row(args[1], i) for i in range(rows)]
            w_rows = [w.row(args[1], i) for i in range(rows)]
            sums = _places(builder, rows, vectors)
            for line, row in zip(sums, out_rows, strict=True):
                for place, i in zip(line, at, strict=True):
                    builder.store(_load(builder, row, i), place)
            with cgutils.for_range_slice(builder, args[2], args[3], _INT(1), intp=_INT) as (j, _):
                source = a.row(j)
                inputs = [_load(builder, source, i) for i in at]
                for line, row in zip(sums, w_rows, strict=True):
                    weight = _spread(builder, builder.load(builder.gep(row, [j])))
                    for place, value in zip(line, inputs, strict=True):
                        _add_product(builder, place, weight, value)
            for line, row in zip(sums, out_rows, strict=True):
                for place, i in zip(line, at, strict=True):
                    _store(builder, builder.load(place), row, i)
            return context.get_dummy_value()

        integer = types.int64
        return types.void(_MATRIX, integer, integer, integer, _MATRIX, integer, _MATRIX), codegen

    return tile


def _gather_tile(rows: int) -> Callable[..., None]:
    @intrinsic
    def tile(typingctx: Any, W: Any, r: Any, j: Any, A: Any, out: Any) -> Any:
        """Out[r] += the sum of W[r, j..] A[j..] over `rows` rows of A."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            w, a, target = (_Rows(context, builder, args[i]) for i in (0, 3, 4))
            at = [builder.add(args[2], _INT(offset)) for offset in range(rows)]
            line = w.row(args[1])
            weights = [_spread(builder, builder.load(builder.gep(line, [j]))) for j in at]
            sources = [a.row(j) for j in at]
            total, step = target.row(args[1]), _INT(LANES)
            place = cgutils.alloca_once(builder, _VECTOR)
            with cgutils.for_range_slice(builder, _INT(0), a.width, step, intp=_INT) as (i, _):
                builder.store(_load(builder, total, i), place)
                for weight, row in zip(weights, sources, strict=True):
                    _add_product(builder, place, weight, _load(builder, row, i))
                _store(builder, builder.load(place), total, i)
            return context.get_dummy_value()

        integer = types.int64
        return types.void(_MATRIX, integer, integer, _MATRIX, _MATRIX), codegen

    return tile


def _largest(absolute: bool) -> Callable[..., float]:
    @intrinsic
    def largest(typingctx: Any, A: Any, r: Any) -> Any:
        """Largest entry of row r, or largest absolute value; NaN is passed over."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            a = _Rows(context, builder, args[0])
            row, place = a.row(args[1]), cgutils.alloca_once(builder, _VECTOR)
            builder.store(_everywhere(0.0 if absolute else -math.inf), place)
            step = _INT(LANES)
            with cgutils.for_range_slice(builder, _INT(0), a.width, step, intp=_INT) as (i, _):
                value = _load(builder, row, i)
                if absolute:
                    value = _absolute(builder, value)
                builder.store(_maximum(builder, value, builder.load(place)), place)
            return _over_lanes(builder, builder.load(place), _maximum)

        return types.float64(_MATRIX, types.int64), codegen

    return largest


def _everywhere(value: float) -> Any:
    return ir.Constant(_VECTOR, [value] * LANES)


def _absolute(builder: Any, vector: Any) -> Any:
    kind = ir.FunctionType(_VECTOR, [_VECTOR])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fabs.v{LANES}f64")
    return builder.call(function, [vector])


def _maximum(builder: Any, new: Any, old: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", new, old), new, old)


_dots_1_8, _dots_1_4, _dots_1_1 = _dots_tile(1, 8), _dots_tile(1, 4), _dots_tile(1, 1)
_combine_1_1 = _combine_tile(1, 1)
_gather_8 = _gather_tile(8)
largest, largest_absolute = _largest(absolute=False), _largest(absolute=True)


@kernel
def dots_of_one(A, B, first, last, width, out):
    """out[0, c] += <A[0], B[c]> for the rows first <= c < last of B, `width` entries each."""
    c = first
    while c + 8 <= last:
        _dots_1_8(A, 0, B, c, 0, width, out)
        c += 8
    if c + 4 <= last:
        _dots_1_4(A, 0, B, c, 0, width, out)
        c += 4
    while c < last:
        _dots_1_1(A, 0, B, c, 0, width, out)
        c += 1


@kernel
def _combine_one(W, r, lo, hi, A, out):
    """out[r] += sum over lo <= j < hi of W[r, j] A[j]."""
    j = lo
    while j + 8 <= hi:
        _gather_8(W, r, j, A, out)
        j += 8
    for i in range(0, A.shape[1] if j < hi else 0, LANES):
        _combine_1_1(W, r, j, hi, A, i, out)


def dots_of(rows: int, columns: int) -> Callable[..., None]:
    """Dot products in tiles of rows x columns; what is left over in smaller ones."""

    def strip(height: int) -> Callable[..., None]:
        tile, narrow = _dots_tile(height, columns), _dots_tile(height, 1)

        @kernel
        def strip_of_tiles(A, r, B, others, width, out):
            full = others // columns * columns
            for c in range(0, full, columns):
                tile(A, r, B, c, 0, width, out)
            for c in range(full, others):
                narrow(A, r, B, c, 0, width, out)

        return strip_of_tiles

    whole, three, two, one = strip(rows), strip(3), strip(2), strip(1)

    @kernel
    def dots(A, count, B, others, width, out):
        """out[r, c] += <A[r], B[c]>, `width` entries each."""
        r = 0
        while r + rows <= count:
            whole(A, r, B, others, width, out)
            r += rows
        while r + 3 <= count:
            three(A, r, B, others, width, out)
            r += 3
        if r + 2 == count:
            two(A, r, B, others, width, out)
        elif r + 1 == count:
            one(A, r, B, others, width, out)

    return dots


def combine_of(rows: int, vectors: int) -> Callable[..., None]:
    """Weighted sums of rows, in tiles of rows x vectors; what is left over in smaller ones."""

    def strip(height: int) -> Callable[..., None]:
        tile, narrow = _combine_tile(height, vectors), _combine_tile(height, 1)
        step = vectors * LANES

        @kernel
        def strip_of_tiles(W, r, lo, hi, A, out):
            width = A.shape[1]
            full = width // step * step
            for i in range(0, full, step):
                tile(W, r, lo, hi, A, i, out)
            for i in range(full, width, LANES):
                narrow(W, r, lo, hi, A, i, out)

        return strip_of_tiles

    whole, three, two = strip(rows), strip(3), strip(2)

    @kernel
    def combine(W, count, lo, hi, A, out):
        """out[r] += sum over lo <= j < hi of W[r, j] A[j], whole rows of A."""
        r = 0
        while r + rows <= count:
            whole(W, r, lo, hi, A, out)
            r += rows
        while r + 3 <= count:
            three(W, r, lo, hi, A, out)
            r += 3
        if r + 2 == count:
            two(W, r, lo, hi, A, out)
        elif r + 1 == count:
            _combine_one(W, r, lo, hi, A, out)

    return combine


dots = dots_of(*PROCESSOR.tile)
combine = combine_of(*PROCESSOR.tile)
