"""Owns compositing one splat into one tile of 16x16 pixels, and its gradient, eight pixels at a time.

A tile is kept as 32 blocks of 8 pixels: block b is row b % 16, columns 8 (b // 16) and on. A block's vectors
lie together: transmittance first, then (backward only) the remainder, then one vector per channel. Which
blocks a splat touches is a bit mask from a comparison of all rows; the inner loop visits its set bits.

A pixel ends at the first splat that would leave a transmittance of 1e-4 or less. Its transmittance is
negative from then on: the sign says that it has ended, the magnitude is what the background shows through. A
block is alive until all of its pixels have ended.

A splat's record is its mean in pixels (x, y), its ellipse (see ``projection``) and its channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .simd import FLOAT, INT32, INT64, WIDTH, Lanes, Mask, Memory, each_bit, sum_lanes
from .tiling import TILE

BLOCKS = TILE * TILE // WIDTH
MAX_ALPHA = 0.99
MIN_TRANSMITTANCE = 1e-4
MEAN_X, MEAN_Y, PRECISION_X, SLOPE, PRECISION_Y, REACH, CHANNELS = range(7)  # columns of a record
# e^x / 255 for x in [0, 5.55] is the eighth power of this polynomial, lowest power first: a minimax fit that
# errs by 2e-6 relative in float32.
ALPHA_ROOT = (
    0.5002446174621582, 0.06253112107515335, 0.00390697130933404, 0.00016378799045924097,
    4.755439476866741e-06, 1.7919690264989185e-07,
)  # fmt: skip

Emit = Callable[[Any, ir.IRBuilder, Any, Sequence[ir.Value]], ir.Value]


class _Rows:
    """A splat's 16 rows in one tile, in the code being emitted: on the stack, for the loop over blocks.

    heights: dy from each row to the mean [16].
    rests: What dy leaves of the reach [16].
    centers: Column of the row's center, counted from the first pixel of each block [32].
    touched: Bits of the blocks that have a point between their first and last pixel inside of the splat.
    """

    def __init__(self, builder: ir.IRBuilder, splat: Memory, origin: Sequence[ir.Value]) -> None:
        self.heights, self.rests = Memory.on_stack(builder, TILE), Memory.on_stack(builder, TILE)
        self.centers = Memory.on_stack(builder, 2 * TILE)
        numbers = [splat.load_spread(column) for column in range(CHANNELS)]
        mean_x, mean_y, precision_x, slope, precision_y, reach = numbers
        origin_x, origin_y = (
            Lanes(builder, builder.bitcast(value, ir.VectorType(FLOAT, 1))).spread() for value in origin
        )
        self.touched = ir.Constant(INT32, 0)
        for first in range(0, TILE, WIDTH):
            heights = mean_y - origin_y - range(first, first + WIDTH)
            rests = reach - precision_y * (heights * heights)
            centers = mean_x - origin_x - slope * heights
            self.heights.store(first, heights)
            self.rests.store(first, rests)
            for block in (first, first + TILE):
                self.centers.store(block, centers)
                distances = (-centers).maximum(centers - (WIDTH - 1)).maximum(0.0)
                bits = (rests >= precision_x * (distances * distances)).bits()
                bits = builder.shl(builder.zext(bits, INT32), ir.Constant(INT32, block))
                self.touched = builder.or_(self.touched, bits)
                centers = centers - WIDTH


def _alpha(exponent: Lanes) -> Lanes:
    """Return e^x / 255 where x >= 0, else 0; not yet clamped."""
    root = exponent * ALPHA_ROOT[5] + ALPHA_ROOT[4]
    for coefficient in reversed(ALPHA_ROOT[:4]):
        root = root * exponent + coefficient
    square = root * root
    fourth = square * square
    return (fourth * fourth).where(exponent >= 0.0, 0.0)


def _composite(pixels: Memory, alpha: Lanes) -> tuple[Lanes, Lanes, Mask]:
    """Advance a block's transmittance; return the one before (0 if ended), the weights, which pixels last."""
    transmittance = pixels.load(0)
    before = transmittance.maximum(0.0)
    after = before * (1.0 - alpha)
    lasting = after > MIN_TRANSMITTANCE
    pixels.store(0, after.where(lasting, transmittance.negative()))
    return before, (before * alpha).where(lasting, 0.0), lasting


def _retire(builder: ir.IRBuilder, alive: ir.Value, lasting: Mask, block: ir.Value) -> None:
    """Clear a block's bit once no pixel of it lasts."""
    bits = lasting.bits()
    over = builder.zext(builder.icmp_unsigned("==", bits, ir.Constant(bits.type, 0)), INT32)
    bit = builder.shl(over, builder.trunc(block, INT32))
    builder.store(builder.and_(builder.load(alive), builder.not_(bit)), alive)


def _row(builder: ir.IRBuilder, block: ir.Value) -> ir.Value:
    return builder.and_(block, ir.Constant(INT64, TILE - 1))


def _emit_forward(channels: int) -> Emit:
    def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        tile, splat = (Memory.at(builder, address) for address in args[:2])
        alive = cgutils.alloca_once_value(builder, args[4])
        rows = _Rows(builder, splat, args[2:4])
        precision_x = splat.load_spread(PRECISION_X)
        colors = [splat.load_spread(CHANNELS + c) for c in range(channels)]
        with each_bit(builder, builder.and_(rows.touched, args[4])) as block:
            u = rows.centers.load_spread(block) - range(WIDTH)
            exponent = rows.rests.load_spread(_row(builder, block)) - precision_x * (u * u)
            pixels = tile.part(builder.mul(block, ir.Constant(INT64, (1 + channels) * WIDTH)))
            _, weights, lasting = _composite(pixels, _alpha(exponent).minimum(MAX_ALPHA))
            for c, color in enumerate(colors, start=1):
                pixels.store(c * WIDTH, pixels.load(c * WIDTH) + weights * color)
            _retire(builder, alive, lasting, block)
        return builder.load(alive)

    return emit


def forward_intrinsic(channels: int) -> Callable[..., Any]:
    """Return the intrinsic that composites one splat: (tile, record, origin_x, origin_y, alive) -> alive.

    Args:
        channels: Of the record.

    Returns:
        Function of the addresses of tile and record, the center of the tile's first pixel, and the bits of
        the blocks that are alive; it returns those that still are.
    """

    @intrinsic
    def forward(
        typing_context: Any, tile: Any, record: Any, origin_x: Any, origin_y: Any, alive: Any
    ) -> tuple[Any, Emit]:
        signature = types.uint32(types.int64, types.int64, types.float32, types.float32, types.uint32)
        return signature, _emit_forward(channels)

    return forward


def _emit_backward(channels: int) -> Emit:
    """Go front to back: the remainder F is what the splats still to come add to the loss.

    F = sum of w_j (c_j . g) + T_end (background . g - g_alpha) starts as image . g - T_end g_alpha and loses
    w (c . g) at each splat, so that d loss / d alpha = T (c . g) - F / (1 - alpha) needs no division by T.
    """

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        tile, splat, target = (Memory.at(builder, address) for address in args[:3])
        alive = cgutils.alloca_once_value(builder, args[5])
        zero = ir.Constant(ir.VectorType(FLOAT, WIDTH), [0.0] * WIDTH)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(CHANNELS + channels)]
        rows = _Rows(builder, splat, args[3:5])
        precision_x = splat.load_spread(PRECISION_X)
        colors = [splat.load_spread(CHANNELS + c) for c in range(channels)]
        with each_bit(builder, builder.and_(rows.touched, args[5])) as block:
            u = rows.centers.load_spread(block) - range(WIDTH)
            dy = rows.heights.load_spread(_row(builder, block))
            unclamped = _alpha(rows.rests.load_spread(_row(builder, block)) - precision_x * (u * u))
            alpha = unclamped.minimum(MAX_ALPHA)
            pixels = tile.part(builder.mul(block, ir.Constant(INT64, (2 + channels) * WIDTH)))
            before, weights, lasting = _composite(pixels, alpha)
            gradients = [pixels.load((2 + c) * WIDTH) for c in range(channels)]
            shade = colors[0] * gradients[0]  # c . g
            for color, gradient in zip(colors[1:], gradients[1:], strict=True):
                shade = shade + color * gradient
            remainder = pixels.load(WIDTH) - weights * shade
            pixels.store(WIDTH, remainder)
            g_alpha = before * shade - remainder / (1.0 - alpha)
            v = (unclamped * g_alpha).where(lasting & (alpha < MAX_ALPHA), 0.0)  # d loss / d exponent
            terms = [v * u, v * dy, v * u * u, v * u * dy, v * dy * dy, v]
            terms += [weights * gradient for gradient in gradients]
            for total, term in zip(sums, terms, strict=True):
                builder.store((Lanes(builder, builder.load(total)) + term).value, total)
            _retire(builder, alive, lasting, block)
        _store_gradients(target, splat, [Lanes(builder, builder.load(total)) for total in sums])
        return builder.load(alive)

    return emit


def _store_gradients(target: Memory, splat: Memory, sums: Sequence[Lanes]) -> None:
    """Turn sums of v u, v dy, v u^2, v u dy, v dy^2, v and the channels' into the gradient to a record.

    The exponent is reach - precision_x u^2 - precision_y dy^2 with u = dx - slope dy, from pixel to mean:
    d mean_x = -2 precision_x v u, d mean_y = -slope d mean_x - 2 precision_y v dy, d slope = 2 precision_x v
    u dy.
    """
    numbers = splat.load(0)
    one = WIDTH  # the number of the other vector's first lane
    columns = (PRECISION_X, PRECISION_Y, one, PRECISION_X, one, one, one, one)
    factors = numbers.shuffle(1.0, columns) * (-2.0, -2.0, -1.0, 2.0, -1.0, 1.0, 1.0, 1.0)
    gradient = sum_lanes(sums[:WIDTH]) * factors
    sheared = gradient.spread(MEAN_X) * numbers.spread(SLOPE)
    target.store(0, gradient - sheared * [float(column == MEAN_Y) for column in range(WIDTH)])
    rest = sums[WIDTH:]
    target.store(WIDTH, sum_lanes(rest).shuffle(rest[0], range(len(rest))))


def backward_intrinsic(channels: int) -> Callable[..., Any]:
    """Return the intrinsic for one splat's gradient: (tile, record, target, origin_x, origin_y, alive).

    Args:
        channels: Of the record.

    Returns:
        As from ``forward_intrinsic``; it also takes the address that the gradient to the record goes to.
    """

    @intrinsic
    def backward(
        typing_context: Any, tile: Any, record: Any, target: Any, origin_x: Any, origin_y: Any, alive: Any
    ) -> tuple[Any, Emit]:
        integers, numbers = [types.int64] * 3, [types.float32] * 2
        return types.uint32(*integers, *numbers, types.uint32), _emit_backward(channels)

    return backward


def _emit_sum(channels: int) -> Emit:
    def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        gradients = Memory.at(builder, args[0])
        widths = (WIDTH, CHANNELS + channels - WIDTH)
        totals = [
            cgutils.alloca_once_value(builder, ir.Constant(ir.VectorType(FLOAT, width), [0.0] * width))
            for width in widths
        ]
        with cgutils.for_range(builder, builder.sub(args[2], args[1])) as loop:
            slot = builder.add(args[1], loop.index)
            row = gradients.part(builder.mul(slot, ir.Constant(INT64, CHANNELS + channels)))
            for total, start, width in zip(totals, (0, WIDTH), widths, strict=True):
                lanes = Lanes(builder, builder.load(total)) + row.load(start, width)
                builder.store(lanes.value, total)
        first, rest = (Lanes(builder, builder.load(total)) for total in totals)
        targets = [Memory.at(builder, builder.extract_value(args[3], k)) for k in range(3)]
        targets[0].store(0, first.shuffle(first, range(MEAN_X, PRECISION_X)))
        targets[1].store(0, first.shuffle(first, range(PRECISION_X, CHANNELS)))
        targets[2].store(0, first.shuffle(first, range(CHANNELS, WIDTH)))
        targets[2].store(WIDTH - CHANNELS, rest)
        return context.get_dummy_value()

    return emit


def sum_intrinsic(channels: int) -> Callable[..., Any]:
    """Return the intrinsic that sums gradients to records: (gradients, first, end, targets).

    Args:
        channels: Of the records.

    Returns:
        Function of the address of the gradients, the first row to sum and the end, and three addresses for
        the sum's parts: mean, ellipse and channels.
    """

    @intrinsic
    def sum_rows(typing_context: Any, gradients: Any, first: Any, end: Any, targets: Any) -> tuple[Any, Emit]:
        return types.void(gradients, types.int64, types.int64, targets), _emit_sum(channels)

    return sum_rows
