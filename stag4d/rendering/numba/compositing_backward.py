"""Gradient of alpha compositing, from front to back like the forward pass.

``g_value`` is the gradient of the loss with respect to ``value``. The gradients of each intersection are
written to its own row, and the rows of one splat are summed afterwards: no atomics, the same bytes always.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ...kernels.compilation import compiled, inlined
from .compositing import (
    FIRST_CHANNEL,
    MAX_ALPHA,
    MEAN_X,
    MEAN_Y,
    PRECISION_X,
    PRECISION_Y,
    ROW_BYTES_3,
    SLOPE,
    Emit,
    SplatRows,
    alpha_of,
    clear_if_terminated,
    clear_tile,
    row_of,
    update_transmittance,
)
from .layout import TILE_SIZE, Tiling
from .simd import FLOAT, INT64, WIDTH, Array, Lanes, each_bit, sum_lanes


def _emit_backward(channels: int) -> Emit:
    """Go front to back: the remainder F is the contribution of the splats still to come to the loss.

    F = sum_j w_j (c_j . g) + T_end (background . g - g_alpha), over the splats j still to come, starts as
    image . g - T_end g_alpha and decreases by w (c . g) at each splat, so that
    d loss / d alpha = T (c . g) - F / (1 - alpha) needs no division by T.
    """

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        tile, splat, g_splat = (Array.at(builder, address) for address in args[:3])
        active_blocks = cgutils.alloca_once_value(builder, args[5])
        zero = ir.Constant(ir.VectorType(FLOAT, WIDTH), [0.0] * WIDTH)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(FIRST_CHANNEL + channels)]
        rows = SplatRows(builder, splat, args[3:5])
        precision_x = splat.broadcast(PRECISION_X)
        colors = [splat.broadcast(FIRST_CHANNEL + c) for c in range(channels)]
        with each_bit(builder, builder.and_(rows.blocks, args[5])) as block:
            u = rows.centers.broadcast(block) - range(WIDTH)  # dx - slope dy
            dy = rows.dys.broadcast(row_of(builder, block))
            unclamped = alpha_of(rows.exponents.broadcast(row_of(builder, block)) - precision_x * (u * u))
            alpha = unclamped.minimum(MAX_ALPHA)
            pixels = tile.slice(builder.mul(block, ir.Constant(INT64, (2 + channels) * WIDTH)))
            before, weights, active = update_transmittance(pixels, alpha)
            gradients = [pixels.load((2 + c) * WIDTH) for c in range(channels)]
            color_dot_g = colors[0] * gradients[0]
            for color, gradient in zip(colors[1:], gradients[1:], strict=True):
                color_dot_g = color_dot_g + color * gradient
            remainder = pixels.load(WIDTH) - weights * color_dot_g
            pixels.store(WIDTH, remainder)
            g_alpha = before * color_dot_g - remainder / (1.0 - alpha)
            # The exponent e has d alpha / d e = alpha; where alpha is clamped there is no gradient.
            g_e = (unclamped * g_alpha).where(active & (alpha < MAX_ALPHA), 0.0)
            terms = [g_e * u, g_e * dy, g_e * u * u, g_e * u * dy, g_e * dy * dy, g_e]
            terms += [weights * gradient for gradient in gradients]
            for total, term in zip(sums, terms, strict=True):
                builder.store((Lanes(builder, builder.load(total)) + term).value, total)
            clear_if_terminated(builder, active_blocks, active, block)
        _store_gradients(g_splat, splat, [Lanes(builder, builder.load(total)) for total in sums])
        return builder.load(active_blocks)

    return emit


def _store_gradients(g_splat: Array, splat: Array, sums: Sequence[Lanes]) -> None:
    """Compute the gradient of a splat's attributes from sums over the pixels of a tile, and store it.

    The exponent is e = max_sigma - precision_x u^2 - precision_y dy^2 with u = dx - slope dy, from pixel to
    mean. The sums are those of g u, g dy, g u^2, g u dy, g dy^2, g, for g = g_e, and of the channels:
    g_mean_x = -2 precision_x g u, g_mean_y = -slope g_mean_x - 2 precision_y g dy,
    g_precision_x = -g u^2, g_slope = 2 precision_x g u dy, g_precision_y = -g dy^2, g_max_sigma = g.
    """
    numbers = splat.load(0)
    one = WIDTH  # index of the first lane of the second vector, which is 1
    columns = (PRECISION_X, PRECISION_Y, one, PRECISION_X, one, one, one, one)
    factors = numbers.shuffle(1.0, columns) * (-2.0, -2.0, -1.0, 2.0, -1.0, 1.0, 1.0, 1.0)
    gradient = sum_lanes(sums[:WIDTH]) * factors
    sheared = gradient.broadcast(MEAN_X) * numbers.broadcast(SLOPE)
    g_splat.store(0, gradient - sheared * [float(column == MEAN_Y) for column in range(WIDTH)])
    rest = sums[WIDTH:]
    g_splat.store(WIDTH, sum_lanes(rest).shuffle(rest[0], range(len(rest))))


def _backward_intrinsic(channels: int) -> Callable[..., Any]:
    """Return the intrinsic for the gradient of one splat in one tile, for a number of channels.

    Like the forward intrinsic; it also takes the address to which the gradient of the attributes is written.
    """

    @intrinsic
    def backward(
        typing_context: Any, tile: Any, splat: Any, g_splat: Any, origin_x: Any, origin_y: Any, active: Any
    ) -> tuple[Any, Emit]:
        integers, numbers = [types.int64] * 3, [types.float32] * 2
        return types.uint32(*integers, *numbers, types.uint32), _emit_backward(channels)

    return backward


def _emit_sum(channels: int) -> Emit:
    def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        gradients = Array.at(builder, args[0])
        widths = (WIDTH, FIRST_CHANNEL + channels - WIDTH)
        totals = [
            cgutils.alloca_once_value(builder, ir.Constant(ir.VectorType(FLOAT, width), [0.0] * width))
            for width in widths
        ]
        with cgutils.for_range(builder, builder.sub(args[2], args[1])) as loop:
            index = builder.add(args[1], loop.index)
            row = gradients.slice(builder.mul(index, ir.Constant(INT64, FIRST_CHANNEL + channels)))
            for total, start, width in zip(totals, (0, WIDTH), widths, strict=True):
                lanes = Lanes(builder, builder.load(total)) + row.load(start, width)
                builder.store(lanes.value, total)
        first, rest = (Lanes(builder, builder.load(total)) for total in totals)
        g_mean2d, g_ellipse, g_channels = (
            Array.at(builder, builder.extract_value(args[3], k)) for k in range(3)
        )
        g_mean2d.store(0, first.shuffle(first, range(MEAN_X, PRECISION_X)))
        g_ellipse.store(0, first.shuffle(first, range(PRECISION_X, FIRST_CHANNEL)))
        g_channels.store(0, first.shuffle(first, range(FIRST_CHANNEL, WIDTH)))
        g_channels.store(WIDTH - FIRST_CHANNEL, rest)
        return context.get_dummy_value()

    return emit


def _sum_intrinsic(channels: int) -> Callable[..., Any]:
    """Return the intrinsic that sums rows of gradients of attributes, for a number of channels.

    It takes the address of the gradients, the index of the first row and the one after the last, and the
    addresses to which the sums are written: of the mean, the ellipse and the channels.
    """

    @intrinsic
    def sum_rows(typing_context: Any, gradients: Any, first: Any, end: Any, outputs: Any) -> tuple[Any, Emit]:
        return types.void(gradients, types.int64, types.int64, outputs), _emit_sum(channels)

    return sum_rows


_backward_3, _backward_4 = _backward_intrinsic(3), _backward_intrinsic(4)
_sum_3, _sum_4 = _sum_intrinsic(3), _sum_intrinsic(4)


@inlined
def _load_gradients(
    pixels: np.ndarray,
    images: tuple[np.ndarray, np.ndarray],
    g_images: tuple[np.ndarray, np.ndarray],
    y0: int,
    x0: int,
) -> None:
    """Write the initial remainders and the gradients of the channels to a tile.

    Args:
        pixels: [NUM_BLOCKS, 2 + channels, WIDTH].
        images: Tuple of renders [H, W, D] and alphas [H, W, 1] of one camera.
        g_images: Tuple of the gradients to them.
        y0: First row of the tile, pixels.
        x0: First column of the tile, pixels.
    """
    renders, alphas = images
    g_renders, g_alphas = g_images
    height, width, num_channels = renders.shape
    for row in range(min(TILE_SIZE, height - y0)):
        y = y0 + row
        for column in range(min(TILE_SIZE, width - x0)):
            x, block, lane = x0 + column, column // WIDTH * TILE_SIZE + row, column % WIDTH
            remainder = (alphas[y, x, 0] - np.float32(1.0)) * g_alphas[y, x, 0]  # -T_end g_alpha
            for c in range(num_channels):
                pixels[block, 2 + c, lane] = g_renders[y, x, c]
                remainder += renders[y, x, c] * g_renders[y, x, c]
            pixels[block, 1, lane] = remainder


@compiled
def composite_tiles_backward(
    chunk: int,
    num_chunks: int,
    tiling: Tiling,
    tile_ends: np.ndarray,
    attributes: np.ndarray,
    images: tuple[np.ndarray, np.ndarray],
    g_images: tuple[np.ndarray, np.ndarray],
    g_attributes: np.ndarray,
    workspace: np.ndarray,
) -> None:
    """Compute the gradient of the attributes for every intersection.

    Args:
        chunk: Index of this chunk: every ``num_chunks``-th tile.
        num_chunks: Number of chunks.
        tiling: As for ``composite_tiles``.
        tile_ends: From ``composite_tiles``.
        attributes: [S, FIRST_CHANNEL + channels].
        images: Tuple of renders [C, H, W, D] and alphas [C, H, W, 1].
        g_images: Tuple of the gradients to them.
        g_attributes: [I, FIRST_CHANNEL + channels], splat by splat, written.
        workspace: [num_chunks, NUM_BLOCKS, 2 + channels, WIDTH].
    """
    tile_offsets, splat_ids, gradient_rows = tiling.tile_offsets, tiling.splat_ids, tiling.gradient_rows
    renders, alphas = images
    g_renders, g_alphas = g_images
    num_cameras, height, width, _ = renders.shape
    columns, rows = (width + TILE_SIZE - 1) // TILE_SIZE, (height + TILE_SIZE - 1) // TILE_SIZE
    row_bytes = attributes.shape[1] * 4
    pixels = workspace[chunk]
    for tile in range(chunk, num_cameras * rows * columns, num_chunks):
        camera = tile // (rows * columns)
        y0, x0 = tile // columns % rows * TILE_SIZE, tile % columns * TILE_SIZE
        x, y = np.float32(x0 + 0.5), np.float32(y0 + 0.5)
        if tile_ends[tile] > tile_offsets[tile]:
            active_blocks = clear_tile(pixels, height - y0, width - x0)
            image, g_image = (renders[camera], alphas[camera]), (g_renders[camera], g_alphas[camera])
            _load_gradients(pixels, image, g_image, y0, x0)
            for index in range(tile_offsets[tile], tile_ends[tile]):
                splat = attributes.ctypes.data + splat_ids[index] * row_bytes
                g_splat = g_attributes.ctypes.data + gradient_rows[index] * row_bytes
                if row_bytes == ROW_BYTES_3:
                    active_blocks = _backward_3(pixels.ctypes.data, splat, g_splat, x, y, active_blocks)
                else:
                    active_blocks = _backward_4(pixels.ctypes.data, splat, g_splat, x, y, active_blocks)
        # Intersections behind terminated pixels were not composited; their rows are not initialized.
        for index in range(tile_ends[tile], tile_offsets[tile + 1]):
            for column in range(g_attributes.shape[1]):
                g_attributes[gradient_rows[index], column] = 0.0


@compiled
def sum_gradients(
    chunk: int,
    num_chunks: int,
    splat_offsets: np.ndarray,
    g_attributes: np.ndarray,
    g_splats: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Sum the gradients of each splat's intersections, in an order that does not depend on threads.

    Args:
        chunk: Index of this chunk of splats.
        num_chunks: Number of chunks.
        splat_offsets: [S + 1] index of each splat's first intersection, and the end.
        g_attributes: From ``composite_tiles_backward``.
        g_splats: Tuple of the gradients to means2d [S, 2], ellipses [S, 4], channels [S, channels], written.
    """
    g_means2d, g_ellipses, g_channels = g_splats
    count = g_means2d.shape[0]
    for splat in range(count * chunk // num_chunks, count * (chunk + 1) // num_chunks):
        first, end = splat_offsets[splat], splat_offsets[splat + 1]
        outputs = g_means2d[splat].ctypes.data, g_ellipses[splat].ctypes.data, g_channels[splat].ctypes.data
        if g_channels.shape[1] == 3:
            _sum_3(g_attributes.ctypes.data, first, end, outputs)
        else:
            _sum_4(g_attributes.ctypes.data, first, end, outputs)
