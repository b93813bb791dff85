"""Owns the vocabulary in which vector code is written: ``Lanes``, ``Mask``, ``Memory``, ``Rows``.

Numba has no vectors. Its intrinsics are Python functions that emit LLVM code where a kernel calls them, and
these classes make such a function read like the arithmetic that it emits: ``a * b + c`` on ``Lanes`` emits a
multiplication and an addition of vectors, which LLVM turns into what the machine has (AVX, SSE, NEON). It
also compiles several times faster than the same arithmetic written for Numba, which needs a millisecond to
find the types of each operation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from .workers import FASTMATH

WIDTH = 8  # lanes of the vectors in the inner loops
FLOAT, DOUBLE, INT32, INT64 = ir.FloatType(), ir.DoubleType(), ir.IntType(32), ir.IntType(64)
ITEM_BYTES = {FLOAT: 4, INT32: 4, DOUBLE: 8}
Operand: TypeAlias = "Lanes | float | Sequence[float]"


class Mask:
    """A vector of truth values in the code being emitted."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder, self.value = builder, value

    def __and__(self, other: Mask) -> Mask:
        return Mask(self.builder, self.builder.and_(self.value, other.value))

    def bits(self) -> ir.Value:
        """Return one integer with as many bits as there are lanes."""
        return self.builder.bitcast(self.value, ir.IntType(self.value.type.count))


class Lanes:
    """A vector of numbers in the code being emitted: operations emit instructions. NaN compares false."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder, self.value = builder, value

    def _operand(self, other: Operand) -> ir.Value:
        if isinstance(other, Lanes):
            return other.value
        kind = self.value.type
        dtype = np.float32 if kind.element == FLOAT else np.float64
        numbers = np.broadcast_to(np.asarray(other, dtype), kind.count)
        return ir.Constant(kind, [float(number) for number in numbers])

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
        """Return these lanes where the mask is set, else the other's."""
        return self._new(self.builder.select(mask.value, self.value, self._operand(otherwise)))

    def maximum(self, other: Operand) -> Lanes:
        """Return the greater of two, the other's for NaN."""
        return self.where(self > other, other)

    def minimum(self, other: Operand) -> Lanes:
        """Return the smaller of two, the other's for NaN."""
        return self.where(self < other, other)

    def sqrt(self) -> Lanes:
        """Return square roots."""
        return self._call("llvm.sqrt")

    def ceil(self) -> Lanes:
        """Return the least whole numbers that are not smaller."""
        return self._call("llvm.ceil")

    def floor(self) -> Lanes:
        """Return the greatest whole numbers that are not greater."""
        return self._call("llvm.floor")

    def _call(self, name: str) -> Lanes:
        kind = self.value.type
        name = f"{name}.v{kind.count}f{8 * ITEM_BYTES[kind.element]}"
        function = cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(kind, [kind]), name)
        return self._new(self.builder.call(function, [self.value]))

    def negative(self) -> Lanes:
        """Return the same magnitudes with negative signs."""
        integers = ir.VectorType(INT32, self.value.type.count)
        bits = self.builder.bitcast(self.value, integers)
        signed = self.builder.or_(bits, ir.Constant(integers, [-(2**31)] * integers.count))
        return self._new(self.builder.bitcast(signed, self.value.type))

    def shuffle(self, other: Operand, lanes: Sequence[int]) -> Lanes:
        """Return lanes chosen by number from this vector, then the other's."""
        chosen = ir.Constant(ir.VectorType(INT32, len(lanes)), list(lanes))
        return self._new(self.builder.shuffle_vector(self.value, self._operand(other), chosen))

    def spread(self, lane: int = 0) -> Lanes:
        """Return one lane in all of ``WIDTH`` lanes."""
        return self.shuffle(self, [lane] * WIDTH)


class Memory:
    """An array in the code being emitted, known to be aligned as its items only."""

    def __init__(self, builder: ir.IRBuilder, base: ir.Value, kind: ir.Type = FLOAT) -> None:
        self.builder, self.base, self.kind = builder, base, kind

    @classmethod
    def at(cls, builder: ir.IRBuilder, address: ir.Value, kind: ir.Type = FLOAT) -> Memory:
        """Return the array at an address that is an integer."""
        return cls(builder, builder.inttoptr(address, kind.as_pointer()), kind)

    @classmethod
    def on_stack(cls, builder: ir.IRBuilder, size: int) -> Memory:
        """Return an array of floats that lives as long as the kernel's call."""
        array = cgutils.alloca_once(builder, ir.ArrayType(FLOAT, size))
        return cls(builder, builder.bitcast(array, FLOAT.as_pointer()))

    def item(self, index: ir.Value | int) -> ir.Value:
        """Return the pointer to an item."""
        return self.builder.gep(self.base, [ir.Constant(INT64, index) if isinstance(index, int) else index])

    def part(self, index: ir.Value) -> Memory:
        """Return the array from an index on."""
        return Memory(self.builder, self.item(index), self.kind)

    def load(self, index: ir.Value | int, lanes: int = WIDTH) -> Lanes:
        """Return neighboring items from an index on."""
        pointer = self.builder.bitcast(self.item(index), ir.VectorType(self.kind, lanes).as_pointer())
        value = self.builder.load(pointer)
        value.align = ITEM_BYTES[self.kind]
        return Lanes(self.builder, value)

    def load_spread(self, index: ir.Value | int) -> Lanes:
        """Return one item in all lanes."""
        return self.load(index, 1).spread()

    def store(self, index: ir.Value | int, lanes: Lanes) -> None:
        """Write neighboring items from an index on."""
        pointer = self.builder.bitcast(self.item(index), lanes.value.type.as_pointer())
        self.builder.store(lanes.value, pointer).align = ITEM_BYTES[self.kind]


class Rows:
    """Neighboring rows of tables, one in each lane; past the last row, the last again. Lanes are doubles."""

    def __init__(self, builder: ir.IRBuilder, first: ir.Value, last: ir.Value) -> None:
        self.builder = builder
        rows = [builder.add(first, ir.Constant(INT64, lane)) for lane in range(WIDTH)]
        self.rows = [builder.select(builder.icmp_signed("<", row, last), row, last) for row in rows]

    def _item(self, table: Memory, lane: int, columns: int, column: int) -> ir.Value:
        start = self.builder.mul(self.rows[lane], ir.Constant(INT64, columns))
        return table.item(self.builder.add(start, ir.Constant(INT64, column)))

    def load(self, table: Memory, columns: int) -> list[Lanes]:
        """Return all columns of a table that has so many."""
        loaded, kind, doubles = [], ir.VectorType(table.kind, WIDTH), ir.VectorType(DOUBLE, WIDTH)
        convert = self.builder.sitofp if table.kind == INT32 else self.builder.fpext
        for column in range(columns):
            value = ir.Constant(kind, ir.Undefined)
            for lane in range(WIDTH):
                number = self.builder.load(self._item(table, lane, columns, column))
                value = self.builder.insert_element(value, number, ir.Constant(INT32, lane))
            loaded.append(Lanes(self.builder, convert(value, doubles)))
        return loaded

    def store(self, table: Memory, columns: Sequence[Lanes]) -> None:
        """Write all columns of a table; numbers for a table of integers must fit them."""
        kind = ir.VectorType(table.kind, WIDTH)
        convert = self.builder.fptosi if table.kind == INT32 else self.builder.fptrunc
        for column, lanes in enumerate(columns):
            value = convert(lanes.value, kind)
            for lane in range(WIDTH):
                number = self.builder.extract_element(value, ir.Constant(INT32, lane))
                self.builder.store(number, self._item(table, lane, len(columns), column))


@contextmanager
def each_bit(builder: ir.IRBuilder, mask: ir.Value) -> Iterator[ir.Value]:
    """Emit a loop over the set bits of a 32-bit integer, lowest first; its body gets a bit's number."""
    rest = cgutils.alloca_once_value(builder, mask)
    head, body, end = (builder.append_basic_block(f"bits.{name}") for name in ("head", "body", "end"))
    builder.branch(head)
    builder.position_at_end(head)
    bits = builder.load(rest)
    builder.cbranch(builder.icmp_unsigned("!=", bits, ir.Constant(INT32, 0)), body, end)
    builder.position_at_end(body)
    builder.store(builder.and_(bits, builder.sub(bits, ir.Constant(INT32, 1))), rest)
    yield builder.zext(builder.cttz(bits, ir.Constant(ir.IntType(1), 1)), INT64)
    builder.branch(head)
    builder.position_at_end(end)


def sum_lanes(vectors: Sequence[Lanes]) -> Lanes:
    """Return the sums of up to eight vectors, each in its lane: three rounds of adding halves of pairs."""
    vectors = [*vectors, *[vectors[-1]] * (WIDTH - len(vectors))]
    for low, high in (
        ((0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15)),
        ((0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)),
        ((0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15)),
    ):
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [first.shuffle(second, low) + first.shuffle(second, high) for first, second in pairs]
    return vectors[0]
