"""Owns compositing all splats into all tiles, and its gradient: the kernels around ``splat_intrinsics``."""

from __future__ import annotations

import numpy as np

from .simd import WIDTH
from .splat_intrinsics import BLOCKS, CHANNELS, backward_intrinsic, forward_intrinsic, sum_intrinsic
from .tiling import TILE
from .workers import compiled, inlined

MIN_CHANNELS, MAX_CHANNELS = 3, 4  # of a record
_RECORD_3_BYTES = 4 * (CHANNELS + 3)

_forward_3, _forward_4 = forward_intrinsic(3), forward_intrinsic(4)
_backward_3, _backward_4 = backward_intrinsic(3), backward_intrinsic(4)
_sum_3, _sum_4 = sum_intrinsic(3), sum_intrinsic(4)


@inlined
def _open_tile(pixels: np.ndarray, height: int, width: int) -> np.uint32:
    """Clear a tile; transmittance 1 inside of the image, ended outside. Return which blocks are alive."""
    alive = 0
    for block in range(BLOCKS):
        row, column = block % TILE, block // TILE * WIDTH
        for vector in range(pixels.shape[1]):
            for lane in range(WIDTH):
                pixels[block, vector, lane] = 0.0
        for lane in range(WIDTH):
            pixels[block, 0, lane] = 1.0 if row < height and column + lane < width else -1.0
        if row < height and column < width:
            alive |= 1 << block
    return np.uint32(alive)


@compiled
def composite_tiles(
    part: int,
    parts: int,
    tile_starts: np.ndarray,
    tile_ends: np.ndarray,
    splats: np.ndarray,
    records: np.ndarray,
    backgrounds: np.ndarray,
    renders: np.ndarray,
    alphas: np.ndarray,
    scratch: np.ndarray,
) -> None:
    """Fill renders [C, H, W, D] and alphas [C, H, W, 1].

    Args:
        part: This share; one takes every ``parts``-th tile.
        parts: Of so many.
        tile_starts: First intersection of each tile, and the end [T + 1].
        tile_ends: After the last intersection that was looked at [T], written.
        splats: Front to back in each tile [I].
        records: [S, 6 + channels].
        backgrounds: [C, D], D at most the number of channels.
        renders: Written.
        alphas: Written.
        scratch: [parts, BLOCKS, 1 + channels, WIDTH].
    """
    cameras, height, width, shown = renders.shape
    columns, rows = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    record_bytes = records.shape[1] * 4
    pixels = scratch[part]
    for index in range(part, cameras * rows * columns, parts):
        camera, y0, x0 = index // (rows * columns), index // columns % rows * TILE, index % columns * TILE
        x, y = np.float32(x0 + 0.5), np.float32(y0 + 0.5)
        alive = _open_tile(pixels, height - y0, width - x0)
        place = tile_starts[index]
        while place < tile_starts[index + 1] and alive != 0:
            record = records.ctypes.data + splats[place] * record_bytes
            if record_bytes == _RECORD_3_BYTES:
                alive = _forward_3(pixels.ctypes.data, record, x, y, alive)
            else:
                alive = _forward_4(pixels.ctypes.data, record, x, y, alive)
            place += 1
        tile_ends[index] = place
        for row in range(min(TILE, height - y0)):
            for column in range(min(TILE, width - x0)):
                block, lane = column // WIDTH * TILE + row, column % WIDTH
                transmittance = abs(pixels[block, 0, lane])
                alphas[camera, y0 + row, x0 + column, 0] = np.float32(1.0) - transmittance
                for c in range(shown):
                    color = pixels[block, 1 + c, lane] + transmittance * backgrounds[camera, c]
                    renders[camera, y0 + row, x0 + column, c] = color


@inlined
def _open_gradients(
    pixels: np.ndarray,
    renders: np.ndarray,
    alphas: np.ndarray,
    g_renders: np.ndarray,
    g_alphas: np.ndarray,
    y0: int,
    x0: int,
) -> None:
    """Put a tile's remainders and the gradients of its channels in place."""
    height, width, shown = renders.shape
    for row in range(min(TILE, height - y0)):
        y = y0 + row
        for column in range(min(TILE, width - x0)):
            x, block, lane = x0 + column, column // WIDTH * TILE + row, column % WIDTH
            remainder = (alphas[y, x, 0] - np.float32(1.0)) * g_alphas[y, x, 0]
            for c in range(shown):
                pixels[block, 2 + c, lane] = g_renders[y, x, c]
                remainder += renders[y, x, c] * g_renders[y, x, c]
            pixels[block, 1, lane] = remainder


@compiled
def composite_tiles_backward(
    part: int,
    parts: int,
    tile_starts: np.ndarray,
    tile_ends: np.ndarray,
    splats: np.ndarray,
    slots: np.ndarray,
    records: np.ndarray,
    images: tuple[np.ndarray, np.ndarray],
    gradients: tuple[np.ndarray, np.ndarray],
    g_slots: np.ndarray,
    scratch: np.ndarray,
) -> None:
    """Fill the gradients to the record in every intersection's slot [I, 6 + channels].

    Args:
        part: This share; one takes every ``parts``-th tile.
        parts: Of so many.
        tile_starts: First intersection of each tile, and the end [T + 1].
        tile_ends: From ``composite_tiles``.
        splats: Front to back in each tile [I].
        slots: Of each intersection [I].
        records: [S, 6 + channels].
        images: Tuple of renders [C, H, W, D] and alphas [C, H, W, 1].
        gradients: Tuple of the gradients to them.
        g_slots: Written.
        scratch: [parts, BLOCKS, 2 + channels, WIDTH].
    """
    renders, alphas = images
    g_renders, g_alphas = gradients
    cameras, height, width, _ = renders.shape
    columns, rows = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    record_bytes = records.shape[1] * 4
    pixels = scratch[part]
    for index in range(part, cameras * rows * columns, parts):
        camera, y0, x0 = index // (rows * columns), index // columns % rows * TILE, index % columns * TILE
        x, y = np.float32(x0 + 0.5), np.float32(y0 + 0.5)
        if tile_ends[index] > tile_starts[index]:
            alive = _open_tile(pixels, height - y0, width - x0)
            _open_gradients(
                pixels, renders[camera], alphas[camera], g_renders[camera], g_alphas[camera], y0, x0
            )
            for place in range(tile_starts[index], tile_ends[index]):
                record = records.ctypes.data + splats[place] * record_bytes
                target = g_slots.ctypes.data + slots[place] * record_bytes
                if record_bytes == _RECORD_3_BYTES:
                    alive = _backward_3(pixels.ctypes.data, record, target, x, y, alive)
                else:
                    alive = _backward_4(pixels.ctypes.data, record, target, x, y, alive)
        for place in range(tile_ends[index], tile_starts[index + 1]):
            for column in range(g_slots.shape[1]):
                g_slots[slots[place], column] = 0.0


@compiled
def sum_slots(
    part: int,
    parts: int,
    slot_starts: np.ndarray,
    g_slots: np.ndarray,
    g_means2d: np.ndarray,
    g_ellipses: np.ndarray,
    g_channels: np.ndarray,
) -> None:
    """Sum the gradients of each splat's slots, in one order whatever thread wrote them.

    Args:
        part: This share.
        parts: Of so many.
        slot_starts: First slot of each splat, and the end [S + 1].
        g_slots: From ``composite_tiles_backward``.
        g_means2d: [S, 2], written.
        g_ellipses: [S, 4], written.
        g_channels: [S, channels], written.
    """
    count = g_means2d.shape[0]
    for splat in range(count * part // parts, count * (part + 1) // parts):
        first, end = slot_starts[splat], slot_starts[splat + 1]
        targets = g_means2d[splat].ctypes.data, g_ellipses[splat].ctypes.data, g_channels[splat].ctypes.data
        if g_channels.shape[1] == 3:
            _sum_3(g_slots.ctypes.data, first, end, targets)
        else:
            _sum_4(g_slots.ctypes.data, first, end, targets)
