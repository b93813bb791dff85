"""Alpha compositing of splats into image tiles from front to back, eight pixels at a time.

A tile of 16x16 pixels is stored as 32 blocks of 8 pixels: block b is row b % 16, columns 8 (b // 16) and on.
The vectors of a block are adjacent: transmittance first, then (backward only) the remainder, then one vector
per channel. The blocks that a splat intersects form a bit mask, computed for all rows at once; the inner loop
visits its set bits.

A pixel terminates at the first splat that would leave a transmittance of 1e-4 or less. Its transmittance is
stored with a negative sign from then on: the sign marks the pixel as terminated, the absolute value is the
weight of the background. A block is active until all of its pixels have terminated.

The attributes of a splat are its 2D mean in pixels (x, y), its ellipse (see ``projection``) and its channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ...kernels.compilation import compiled, inlined
from .layout import TILE_SIZE, Tiling
from .simd import FLOAT, INT32, INT64, WIDTH, Array, Lanes, Mask, each_bit

NUM_BLOCKS = TILE_SIZE * TILE_SIZE // WIDTH
MAX_ALPHA = 0.99
MIN_TRANSMITTANCE = 1e-4
# Columns of the attributes; the ellipse is PRECISION_X to MAX_SIGMA.
MEAN_X, MEAN_Y, PRECISION_X, SLOPE, PRECISION_Y, MAX_SIGMA, FIRST_CHANNEL = range(7)
MIN_CHANNELS, MAX_CHANNELS = 3, 4  # per pass; kernels are compiled for both
ROW_BYTES_3 = 4 * (FIRST_CHANNEL + 3)  # of the attributes with three channels
# e^x / 255 for x in [0, 5.55] is the eighth power of this polynomial, lowest power first: a minimax fit whose
# relative error in float32 is 2e-6.
ALPHA_ROOT = (
    0.5002446174621582, 0.06253112107515335, 0.00390697130933404, 0.00016378799045924097,
    4.755439476866741e-06, 1.7919690264989185e-07,
)  # fmt: skip

Emit = Callable[[Any, ir.IRBuilder, Any, Sequence[ir.Value]], ir.Value]


class SplatRows:
    """A splat's 16 rows of pixels in one tile, in the code being emitted; stored on the stack.

    dys: [16] y of the mean minus that of each row.
    exponents: [16] max_sigma - precision_y dy^2, the maximum of max_sigma - sigma in each row.
    centers: [32] x of the row's center, relative to the first pixel of each block.
    blocks: Bit mask of the blocks with a point inside the ellipse between their first and last pixel.
    """

    def __init__(self, builder: ir.IRBuilder, splat: Array, origin: Sequence[ir.Value]) -> None:
        self.dys, self.exponents = Array.on_stack(builder, TILE_SIZE), Array.on_stack(builder, TILE_SIZE)
        self.centers = Array.on_stack(builder, 2 * TILE_SIZE)
        numbers = [splat.broadcast(column) for column in range(FIRST_CHANNEL)]
        mean_x, mean_y, precision_x, slope, precision_y, max_sigma = numbers
        origin_x, origin_y = (
            Lanes(builder, builder.bitcast(value, ir.VectorType(FLOAT, 1))).broadcast() for value in origin
        )
        self.blocks = ir.Constant(INT32, 0)
        for first in range(0, TILE_SIZE, WIDTH):  # eight rows at a time
            dys = mean_y - origin_y - range(first, first + WIDTH)
            exponents = max_sigma - precision_y * (dys * dys)
            centers = mean_x - origin_x - slope * dys
            self.dys.store(first, dys)
            self.exponents.store(first, exponents)
            for block in (first, first + TILE_SIZE):  # left and right half of the rows
                self.centers.store(block, centers)
                distances = (-centers).maximum(centers - (WIDTH - 1)).maximum(0.0)  # 0 within the block
                bits = (exponents >= precision_x * (distances * distances)).bits()
                bits = builder.shl(builder.zext(bits, INT32), ir.Constant(INT32, block))
                self.blocks = builder.or_(self.blocks, bits)
                centers = centers - WIDTH


def alpha_of(exponent: Lanes) -> Lanes:
    """Return e^x / 255 where x >= 0, else 0; not yet clamped to MAX_ALPHA."""
    root = exponent * ALPHA_ROOT[5] + ALPHA_ROOT[4]
    for coefficient in reversed(ALPHA_ROOT[:4]):
        root = root * exponent + coefficient
    square = root * root
    fourth = square * square
    return (fourth * fourth).where(exponent >= 0.0, 0.0)


def update_transmittance(pixels: Array, alpha: Lanes) -> tuple[Lanes, Lanes, Mask]:
    """Update a block's transmittance.

    Returns:
        The transmittance before (0 where terminated), the splat's weights, and which pixels are active after.
    """
    transmittance = pixels.load(0)
    before = transmittance.maximum(0.0)
    after = before * (1.0 - alpha)
    active = after > MIN_TRANSMITTANCE
    pixels.store(0, after.where(active, transmittance.negative_abs()))
    return before, (before * alpha).where(active, 0.0), active


def clear_if_terminated(
    builder: ir.IRBuilder, active_blocks: ir.Value, active: Mask, block: ir.Value
) -> None:
    """Clear a block's bit when none of its pixels is active."""
    bits = active.bits()
    terminated = builder.zext(builder.icmp_unsigned("==", bits, ir.Constant(bits.type, 0)), INT32)
    bit = builder.shl(terminated, builder.trunc(block, INT32))
    builder.store(builder.and_(builder.load(active_blocks), builder.not_(bit)), active_blocks)


def row_of(builder: ir.IRBuilder, block: ir.Value) -> ir.Value:
    """Return the row of pixels in which a block lies."""
    return builder.and_(block, ir.Constant(INT64, TILE_SIZE - 1))


def _emit_forward(channels: int) -> Emit:
    def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        tile, splat = (Array.at(builder, address) for address in args[:2])
        active_blocks = cgutils.alloca_once_value(builder, args[4])
        rows = SplatRows(builder, splat, args[2:4])
        precision_x = splat.broadcast(PRECISION_X)
        colors = [splat.broadcast(FIRST_CHANNEL + c) for c in range(channels)]
        with each_bit(builder, builder.and_(rows.blocks, args[4])) as block:
            u = rows.centers.broadcast(block) - range(WIDTH)  # dx - slope dy
            exponent = rows.exponents.broadcast(row_of(builder, block)) - precision_x * (u * u)
            pixels = tile.slice(builder.mul(block, ir.Constant(INT64, (1 + channels) * WIDTH)))
            _, weights, active = update_transmittance(pixels, alpha_of(exponent).minimum(MAX_ALPHA))
            for c, color in enumerate(colors, start=1):
                pixels.store(c * WIDTH, pixels.load(c * WIDTH) + weights * color)
            clear_if_terminated(builder, active_blocks, active, block)
        return builder.load(active_blocks)

    return emit


def _forward_intrinsic(channels: int) -> Callable[..., Any]:
    """Return the intrinsic that composites one splat into one tile, for a number of channels.

    It takes the addresses of the tile and of the splat's attributes, the center of the tile's first pixel and
    the bit mask of active blocks; it returns the mask of those still active.
    """

    @intrinsic
    def forward(
        typing_context: Any, tile: Any, splat: Any, origin_x: Any, origin_y: Any, active_blocks: Any
    ) -> tuple[Any, Emit]:
        signature = types.uint32(types.int64, types.int64, types.float32, types.float32, types.uint32)
        return signature, _emit_forward(channels)

    return forward


_forward_3, _forward_4 = _forward_intrinsic(3), _forward_intrinsic(4)


@inlined
def clear_tile(pixels: np.ndarray, height: int, width: int) -> np.uint32:
    """Clear a tile, with transmittance 1 inside the image; terminate pixels outside.

    Args:
        pixels: [NUM_BLOCKS, vectors, WIDTH].
        height: Pixels from the tile's first row to the end of the image.
        width: Pixels from the tile's first column to the end of the image.

    Returns:
        The bit mask of active blocks.
    """
    active_blocks = 0
    for block in range(NUM_BLOCKS):
        row, column = block % TILE_SIZE, block // TILE_SIZE * WIDTH
        for vector in range(pixels.shape[1]):
            for lane in range(WIDTH):
                pixels[block, vector, lane] = 0.0
        for lane in range(WIDTH):
            pixels[block, 0, lane] = 1.0 if row < height and column + lane < width else -1.0
        if row < height and column < width:
            active_blocks |= 1 << block
    return np.uint32(active_blocks)


@compiled
def composite_tiles(
    chunk: int,
    num_chunks: int,
    tiling: Tiling,
    attributes: np.ndarray,
    backgrounds: np.ndarray,
    images: tuple[np.ndarray, np.ndarray],
    tile_ends: np.ndarray,
    workspace: np.ndarray,
) -> None:
    """Composite all splats of all tiles.

    Args:
        chunk: Index of this chunk: every ``num_chunks``-th tile, as neighbors are often equally full.
        num_chunks: Number of chunks.
        tiling: Intersections, tile by tile and front to back.
        attributes: [S, FIRST_CHANNEL + channels].
        backgrounds: [C, D], D at most the number of channels.
        images: Tuple of renders [C, H, W, D] and alphas [C, H, W, 1], written.
        tile_ends: [T] index after the last composited intersection of each tile, written.
        workspace: [num_chunks, NUM_BLOCKS, 1 + channels, WIDTH].
    """
    tile_offsets, splat_ids = tiling.tile_offsets, tiling.splat_ids
    renders, alphas = images
    num_cameras, height, width, num_channels = renders.shape
    columns, rows = (width + TILE_SIZE - 1) // TILE_SIZE, (height + TILE_SIZE - 1) // TILE_SIZE
    row_bytes = attributes.shape[1] * 4
    pixels = workspace[chunk]
    for tile in range(chunk, num_cameras * rows * columns, num_chunks):
        camera = tile // (rows * columns)
        y0, x0 = tile // columns % rows * TILE_SIZE, tile % columns * TILE_SIZE
        x, y = np.float32(x0 + 0.5), np.float32(y0 + 0.5)
        active_blocks = clear_tile(pixels, height - y0, width - x0)
        index = tile_offsets[tile]
        while index < tile_offsets[tile + 1] and active_blocks != 0:
            splat = attributes.ctypes.data + splat_ids[index] * row_bytes
            if row_bytes == ROW_BYTES_3:
                active_blocks = _forward_3(pixels.ctypes.data, splat, x, y, active_blocks)
            else:
                active_blocks = _forward_4(pixels.ctypes.data, splat, x, y, active_blocks)
            index += 1
        tile_ends[tile] = index
        for row in range(min(TILE_SIZE, height - y0)):
            for column in range(min(TILE_SIZE, width - x0)):
                block, lane = column // WIDTH * TILE_SIZE + row, column % WIDTH
                transmittance = abs(pixels[block, 0, lane])
                alphas[camera, y0 + row, x0 + column, 0] = np.float32(1.0) - transmittance
                for c in range(num_channels):
                    color = pixels[block, 1 + c, lane] + transmittance * backgrounds[camera, c]
                    renders[camera, y0 + row, x0 + column, c] = color
