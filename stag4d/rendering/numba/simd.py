"""Classes that emit SIMD code in Numba intrinsics: ``Lanes``, ``Mask``, ``Array``, ``RowBatch``.

Numba has no vector types. Its intrinsics are Python functions that emit LLVM code where a kernel calls them,
and these classes make such a function read like the arithmetic that it emits: ``a * b + c`` on ``Lanes``
emits a multiplication and an addition of vectors, which LLVM compiles for the machine (AVX, SSE, NEON). It
also compiles several times faster than the same arithmetic written for Numba, whose type inference takes a
millisecond per operation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from ...kernels.compilation import FASTMATH

WIDTH = 8  # lanes of the vectors in the inner loops
FLOAT, DOUBLE, INT32, INT64 = ir.FloatType(), ir.DoubleType(), ir.IntType(32), ir.IntType(64)
ITEM_BYTES = {FLOAT: 4, INT32: 4, DOUBLE: 8}
Operand: TypeAlias = "Lanes | float | Sequence[float]"
Vector: TypeAlias = Sequence["Lanes"]  # components
Matrix: TypeAlias = Sequence[Sequence["Lanes"]]  # rows


class Mask:
    """A vector of booleans in the code being emitted."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder, self.value = builder, value

    def __and__(self, other: Mask) -> Mask:
        return Mask(self.builder, self.builder.and_(self.value, other.value))

    def bits(self) -> ir.Value:
        """Return an integer with one bit per lane."""
        return self.builder.bitcast(self.value, ir.IntType(self.value.type.count))


class Lanes:
    """A vector of numbers in the code being emitted; operators emit instructions. NaN compares false."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder, self.value = builder, value

    def _operand(self, other: Operand) -> ir.Value:
        if isinstance(other, Lanes):
            return other.value
        vector_type = self.value.type
        dtype = np.float32 if vector_type.element == FLOAT else np.float64
        numbers = np.broadcast_to(np.asarray(other, dtype), vector_type.count)
        return ir.Constant(vector_type, [float(number) for number in numbers])

    def _new(self, value: ir.Value) -> Lanes:
        return Lanes(self.builder, value)

    def __add__(self, other: Operand) -> Lanes:
        return self._new(self.builder.fadd(self.value, self._operand(other), flags=FASTMATH))

    def __sub__(self, other: Operand) -> Lanes:
        return self._new(self.builder.fsub(self.value, self._operand(other), flags=FASTMATH))

    def __mul__(self, other: Operand) -> Lanes:
        return self._new(self.builder.fmul(self.value, self._operand(other), flags=FASTMATH))

    def __truediv__(self, other: Operand) -> Lanes:
        return self._new(self.builder.fdiv(self.value, self._operand(other), flags=FASTMATH))

    def __rsub__(self, other: float) -> Lanes:
        return self._new(self.builder.fsub(self._operand(other), self.value, flags=FASTMATH))

    def __rtruediv__(self, other: float) -> Lanes:
        return self._new(self.builder.fdiv(self._operand(other), self.value, flags=FASTMATH))

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Lanes:
        return self * -1.0

    def _compare(self, operator: str, other: Operand) -> Mask:
        return Mask(self.builder, self.builder.fcmp_ordered(operator, self.value, self._operand(other)))

    def __gt__(self, other: Operand) -> Mask:
        return self._compare(">", other)

    def __ge__(self, other: Operand) -> Mask:
        return self._compare(">=", other)

    def __lt__(self, other: Operand) -> Mask:
        return self._compare("<", other)

    def where(self, mask: Mask, otherwise: Operand) -> Lanes:
        """Return these lanes where the mask is true, else the other's."""
        return self._new(self.builder.select(mask.value, self.value, self._operand(otherwise)))

    def maximum(self, other: Operand) -> Lanes:
        """Return the maximum; the other's if this is NaN."""
        return self.where(self > other, other)

    def minimum(self, other: Operand) -> Lanes:
        """Return the minimum; the other's if this is NaN."""
        return self.where(self < other, other)

    def sqrt(self) -> Lanes:
        """Return square roots."""
        return self._call("llvm.sqrt")

    def ceil(self) -> Lanes:
        """Round up."""
        return self._call("llvm.ceil")

    def floor(self) -> Lanes:
        """Round down."""
        return self._call("llvm.floor")

    def _call(self, name: str) -> Lanes:
        vector_type = self.value.type
        name = f"{name}.v{vector_type.count}f{8 * ITEM_BYTES[vector_type.element]}"
        function_type = ir.FunctionType(vector_type, [vector_type])
        function = cgutils.get_or_insert_function(self.builder.module, function_type, name)
        return self._new(self.builder.call(function, [self.value]))

    def negative_abs(self) -> Lanes:
        """Return the negative of the absolute value, by setting the sign bit."""
        integers = ir.VectorType(INT32, self.value.type.count)
        bits = self.builder.bitcast(self.value, integers)
        signed = self.builder.or_(bits, ir.Constant(integers, [-(2**31)] * integers.count))
        return self._new(self.builder.bitcast(signed, self.value.type))

    def shuffle(self, other: Operand, lanes: Sequence[int]) -> Lanes:
        """Return the lanes with these indices in the concatenation of this vector and the other."""
        indices = ir.Constant(ir.VectorType(INT32, len(lanes)), list(lanes))
        return self._new(self.builder.shuffle_vector(self.value, self._operand(other), indices))

    def broadcast(self, lane: int = 0) -> Lanes:
        """Return one lane in all of ``WIDTH`` lanes."""
        return self.shuffle(self, [lane] * WIDTH)


class Array:
    """An array in the code being emitted, aligned no more than its items are."""

    def __init__(self, builder: ir.IRBuilder, base: ir.Value, item_type: ir.Type = FLOAT) -> None:
        self.builder, self.base, self.item_type = builder, base, item_type

    @classmethod
    def at(cls, builder: ir.IRBuilder, address: ir.Value, item_type: ir.Type = FLOAT) -> Array:
        """Return the array at an address, an integer."""
        return cls(builder, builder.inttoptr(address, item_type.as_pointer()), item_type)

    @classmethod
    def on_stack(cls, builder: ir.IRBuilder, size: int) -> Array:
        """Return a new array of floats on the stack of the kernel."""
        array = cgutils.alloca_once(builder, ir.ArrayType(FLOAT, size))
        return cls(builder, builder.bitcast(array, FLOAT.as_pointer()))

    def item(self, index: ir.Value | int) -> ir.Value:
        """Return the pointer to an item."""
        return self.builder.gep(self.base, [ir.Constant(INT64, index) if isinstance(index, int) else index])

    def slice(self, index: ir.Value) -> Array:
        """Return the array that begins at an index of this one."""
        return Array(self.builder, self.item(index), self.item_type)

    def load(self, index: ir.Value | int, lanes: int = WIDTH) -> Lanes:
        """Return consecutive items from an index on."""
        pointer = self.builder.bitcast(self.item(index), ir.VectorType(self.item_type, lanes).as_pointer())
        value = self.builder.load(pointer)
        value.align = ITEM_BYTES[self.item_type]
        return Lanes(self.builder, value)

    def broadcast(self, index: ir.Value | int) -> Lanes:
        """Return one item in all lanes."""
        return self.load(index, 1).broadcast()

    def store(self, index: ir.Value | int, lanes: Lanes) -> None:
        """Write consecutive items from an index on."""
        pointer = self.builder.bitcast(self.item(index), lanes.value.type.as_pointer())
        self.builder.store(lanes.value, pointer).align = ITEM_BYTES[self.item_type]


def arrays_at(builder: ir.IRBuilder, addresses: ir.Value, item_types: Sequence[ir.Type]) -> list[Array]:
    """Return the arrays at a tuple of addresses."""
    return [
        Array.at(builder, builder.extract_value(addresses, index), item_type)
        for index, item_type in enumerate(item_types)
    ]


class RowBatch:
    """Eight consecutive rows of tables, one per lane; the last row repeats beyond it. Lanes are doubles."""

    def __init__(self, builder: ir.IRBuilder, first: ir.Value, last: ir.Value) -> None:
        self.builder = builder
        rows = [builder.add(first, ir.Constant(INT64, lane)) for lane in range(WIDTH)]
        self.rows = [builder.select(builder.icmp_signed("<", row, last), row, last) for row in rows]

    def _item(self, table: Array, lane: int, num_columns: int, column: int) -> ir.Value:
        start = self.builder.mul(self.rows[lane], ir.Constant(INT64, num_columns))
        return table.item(self.builder.add(start, ir.Constant(INT64, column)))

    def gather(self, table: Array, num_columns: int) -> list[Lanes]:
        """Return all columns of a table."""
        item_vector, doubles = ir.VectorType(table.item_type, WIDTH), ir.VectorType(DOUBLE, WIDTH)
        convert = self.builder.sitofp if table.item_type == INT32 else self.builder.fpext
        columns = []
        for column in range(num_columns):
            value = ir.Constant(item_vector, ir.Undefined)
            for lane in range(WIDTH):
                number = self.builder.load(self._item(table, lane, num_columns, column))
                value = self.builder.insert_element(value, number, ir.Constant(INT32, lane))
            columns.append(Lanes(self.builder, convert(value, doubles)))
        return columns

    def scatter(self, table: Array, columns: Sequence[Lanes]) -> None:
        """Write all columns of a table; numbers for a table of integers must fit them."""
        item_vector = ir.VectorType(table.item_type, WIDTH)
        convert = self.builder.fptosi if table.item_type == INT32 else self.builder.fptrunc
        for column, lanes in enumerate(columns):
            value = convert(lanes.value, item_vector)
            for lane in range(WIDTH):
                number = self.builder.extract_element(value, ir.Constant(INT32, lane))
                self.builder.store(number, self._item(table, lane, len(columns), column))


@contextmanager
def each_bit(builder: ir.IRBuilder, mask: ir.Value) -> Iterator[ir.Value]:
    """Emit a loop over the set bits of a 32-bit integer, lowest first; yield the index of the bit."""
    remaining = cgutils.alloca_once_value(builder, mask)
    head, body, end = (builder.append_basic_block(f"bits.{name}") for name in ("head", "body", "end"))
    builder.branch(head)
    builder.position_at_end(head)
    bits = builder.load(remaining)
    builder.cbranch(builder.icmp_unsigned("!=", bits, ir.Constant(INT32, 0)), body, end)
    builder.position_at_end(body)
    # bits & (bits - 1) clears the lowest set bit
    builder.store(builder.and_(bits, builder.sub(bits, ir.Constant(INT32, 1))), remaining)
    yield builder.zext(builder.cttz(bits, ir.Constant(ir.IntType(1), 1)), INT64)
    builder.branch(head)
    builder.position_at_end(end)


def sum_lanes(vectors: Sequence[Lanes]) -> Lanes:
    """Return the sum over the lanes of each of up to eight vectors, the i-th in lane i.

    Three rounds that add the two halves of pairs of vectors, instead of eight separate reductions.
    """
    vectors = [*vectors, *[vectors[-1]] * (WIDTH - len(vectors))]
    for low, high in (
        ((0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15)),
        ((0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)),
        ((0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15)),
    ):
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [first.shuffle(second, low) + first.shuffle(second, high) for first, second in pairs]
    return vectors[0]
