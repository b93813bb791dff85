"""Owns the order of splats: by depth within a camera, then by image tile, as compiled CPU kernels.

Splats are the Gaussians of all cameras, numbered as arrays [C * N] are. A splat touches a run of tiles in
each of some rows of tiles: its ``spans``. An intersection is one splat in one tile. It has a place in the
order by tile, and a ``slot`` in the order by splat; slots collect gradients, so that those of one splat are
neighbors and are summed in one order however the tiles were shared out.

Spans are computed once and stored: to count tiles and to fill them with numbers that were rounded separately
overruns buffers, once in a million splats.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .workers import compiled, inlined, run_shares

TILE = 16  # pixels
MAX_INTERSECTIONS = 2**31 - 1  # they are numbered by int32
SPLATS_PER_SHARE = 4096  # fewer are not worth another thread
RADIX_BITS = 11
RADIX_SIZE = 1 << RADIX_BITS
RADIX_MASK = np.uint32(RADIX_SIZE - 1)
RADIX_TURNS = 3  # odd, so that what begins in the first row ends in the second


@compiled
def sort_visible(
    part: int,
    parts: int,
    depth_bits: np.ndarray,
    radii: np.ndarray,
    order: np.ndarray,
    keys: np.ndarray,
    starts: np.ndarray,
    visible: np.ndarray,
) -> None:
    """Write each camera's visible splats from near to far, equal depths in their own order.

    Args:
        part: This share; one takes whole cameras.
        parts: Of so many.
        depth_bits: Depths, positive, reinterpreted as uint32 [C * N]: they sort alike.
        radii: [C * N, 2]; 0 marks the culled.
        order: [2, C * N], scratch and, in the second row, written: a camera's splats from its first number
        on.
        keys: [2, C * N], scratch.
        starts: [C, RADIX_SIZE], scratch.
        visible: [C], written: how many.
    """
    count = depth_bits.shape[0] // visible.shape[0]
    for camera in range(part, visible.shape[0], parts):
        base = camera * count
        end = base
        for splat in range(base, base + count):
            if radii[splat, 0] > 0:
                keys[0, end] = depth_bits[splat]
                order[0, end] = splat
                end += 1
        visible[camera] = end - base
        for turn in range(RADIX_TURNS):
            source, target, shift = turn % 2, 1 - turn % 2, np.uint32(turn * RADIX_BITS)
            for digit in range(RADIX_SIZE):
                starts[camera, digit] = 0
            for place in range(base, end):
                starts[camera, (keys[source, place] >> shift) & RADIX_MASK] += 1
            total = base
            for digit in range(RADIX_SIZE):
                size = starts[camera, digit]
                starts[camera, digit] = total
                total += size
            for place in range(base, end):
                digit = (keys[source, place] >> shift) & RADIX_MASK
                keys[target, starts[camera, digit]] = keys[source, place]
                order[target, starts[camera, digit]] = order[source, place]
                starts[camera, digit] += 1


@inlined
def _within(value: float, low: int, high: int) -> int:
    """Return a value's whole part, held in [low, high]; low for NaN. To convert first is undefined."""
    if not value > low:
        return low
    return high if value > high else int(value)


@compiled
def find_spans(
    part: int,
    parts: int,
    means2d: np.ndarray,
    ellipses: np.ndarray,
    tile_rows: np.ndarray,
    row_starts: np.ndarray,
    spans: np.ndarray,
    sizes: np.ndarray,
    num_columns: int,
) -> None:
    """Write which columns of tiles [begin, end) each splat touches in each of its rows, and how many tiles.

    The center of the row at dy lies at slope * dy, its half width is
    sqrt((reach - precision_y dy^2) / precision_x). An edge is a concave function of dy: its extreme in a band
    of rows is the ellipse's own, clamped to the band.

    Args:
        part: This share.
        parts: Of so many.
        means2d: [S, 2].
        ellipses: [S, 4]; see ``projection``.
        tile_rows: First row of tiles of each splat, and how many [S, 2].
        row_starts: First span of each splat, and the end [S + 1].
        spans: Written.
        sizes: [S], written.
        num_columns: Of tiles.
    """
    count = means2d.shape[0]
    for splat in range(count * part // parts, count * (part + 1) // parts):
        size = 0
        num_rows = tile_rows[splat, 1]
        if num_rows > 0:
            x, y = np.float64(means2d[splat, 0]), np.float64(means2d[splat, 1])
            precision_x, slope = np.float64(ellipses[splat, 0]), np.float64(ellipses[splat, 1])
            precision_y, reach = np.float64(ellipses[splat, 2]), np.float64(ellipses[splat, 3])
            radius_y = math.sqrt(reach / precision_y)
            # x is greatest at dy = cov_xy sqrt(2 reach / cov_xx).
            variance_x = 0.5 / precision_x + 0.5 * slope * slope / precision_y
            extreme = 0.5 * slope / precision_y * math.sqrt(2.0 * reach / variance_x)
        for row in range(num_rows):
            top = (tile_rows[splat, 0] + row) * TILE + 0.5 - y  # pixel centers are at + 0.5
            low, high = max(top, -radius_y), min(top + (TILE - 1.0), radius_y)
            begin = end = 0
            if low <= high:
                left, right = min(max(-extreme, low), high), min(max(extreme, low), high)
                left_width = math.sqrt(max((reach - precision_y * left * left) / precision_x, 0.0))
                right_width = math.sqrt(max((reach - precision_y * right * right) / precision_x, 0.0))
                first = np.ceil(x + slope * left - left_width - 0.5)
                last = np.floor(x + slope * right + right_width - 0.5)
                if first <= last:
                    begin = _within(first / TILE, 0, num_columns)
                    end = max(begin, _within(last / TILE + 1.0, 0, num_columns))
            spans[row_starts[splat] + row, 0], spans[row_starts[splat] + row, 1] = begin, end
            size += end - begin
        sizes[splat] = size


@compiled
def count_tiles(
    part: int,
    parts: int,
    tile_rows: np.ndarray,
    row_starts: np.ndarray,
    spans: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Count how many splats touch each tile.

    Args:
        part: This share; one takes a band of rows of tiles in every camera.
        parts: Of so many.
        tile_rows: As ``find_spans`` takes it.
        row_starts: As ``find_spans`` takes it.
        spans: From ``find_spans``.
        counts: [C, rows, columns], 0; added to.
    """
    cameras, num_rows, _ = counts.shape
    count = tile_rows.shape[0] // cameras
    top, bottom = num_rows * part // parts, num_rows * (part + 1) // parts
    for camera in range(cameras):
        for splat in range(camera * count, (camera + 1) * count):
            offset = row_starts[splat] - tile_rows[splat, 0]
            end = min(bottom, tile_rows[splat, 0] + tile_rows[splat, 1])
            for row in range(max(top, tile_rows[splat, 0]), end):
                for column in range(spans[offset + row, 0], spans[offset + row, 1]):
                    counts[camera, row, column] += 1


@compiled
def fill_tiles(
    part: int,
    parts: int,
    order: np.ndarray,
    visible: np.ndarray,
    tile_rows: np.ndarray,
    row_starts: np.ndarray,
    spans: np.ndarray,
    slot_starts: np.ndarray,
    places: np.ndarray,
    splats: np.ndarray,
    slots: np.ndarray,
) -> None:
    """Write each tile's splats and slots, front to back.

    Args:
        part: This share; one takes a band of rows of tiles in every camera.
        parts: Of so many.
        order: From ``sort_visible``.
        visible: From ``sort_visible``.
        tile_rows: As ``find_spans`` takes it.
        row_starts: As ``find_spans`` takes it.
        spans: From ``find_spans``.
        slot_starts: First slot of each splat, and the end [S + 1].
        places: Each tile's first intersection [C, rows, columns]; becomes the one after its last.
        splats: [I], written.
        slots: [I], written.
    """
    cameras, num_rows, _ = places.shape
    count = tile_rows.shape[0] // cameras
    top, bottom = num_rows * part // parts, num_rows * (part + 1) // parts
    for camera in range(cameras):
        for rank in range(camera * count, camera * count + visible[camera]):
            splat = order[1, rank]
            first, end = tile_rows[splat, 0], tile_rows[splat, 0] + tile_rows[splat, 1]
            if end <= top or first >= bottom:
                continue
            offset, slot = row_starts[splat] - first, slot_starts[splat]
            for row in range(first, min(bottom, end)):
                begin, stop = spans[offset + row, 0], spans[offset + row, 1]
                if row >= top:
                    for column in range(begin, stop):
                        place = places[camera, row, column]
                        splats[place] = splat
                        slots[place] = slot + (column - begin)
                        places[camera, row, column] = place + 1
                slot += stop - begin


class Tiling(NamedTuple):
    """The order in which splats are composited."""

    size: tuple[int, int]  # height and width in pixels
    slot_starts: np.ndarray  # [S + 1]
    tile_starts: np.ndarray  # [T + 1], first intersection of each tile of each camera, and the end
    splats: np.ndarray  # [I]
    slots: np.ndarray  # [I]


def tile_splats(
    size: tuple[int, int],
    means2d: np.ndarray,
    ellipses: np.ndarray,
    depths: np.ndarray,
    radii: np.ndarray,
    tile_rows: np.ndarray,
) -> Tiling:
    """Order projected splats for compositing.

    Args:
        size: Height and width in pixels.
        means2d: Pixels [C, N, 2].
        ellipses: [C, N, 4].
        depths: [C, N].
        radii: Pixels, 0 for the culled [C, N, 2].
        tile_rows: First row of tiles and how many [C, N, 2].

    Returns:
        The intersections of all cameras, tile by tile and front to back.

    Raises:
        RuntimeError: More splats meet more tiles than an int32 can number.
    """
    num_cameras, num_splats = depths.shape[0], depths.size
    bits = depths.reshape(-1).view(np.uint32)
    order, keys = np.empty((2, num_splats), np.int32), np.empty((2, num_splats), np.uint32)
    radix_starts, visible = np.empty((num_cameras, RADIX_SIZE), np.int64), np.empty(num_cameras, np.int64)
    run_shares(sort_visible, num_cameras, bits, radii.reshape(-1, 2), order, keys, radix_starts, visible)

    num_rows, num_columns = (-(-pixels // TILE) for pixels in size)
    rows = tile_rows.reshape(-1, 2)
    row_starts = _starts(rows[:, 1], "rows of tiles")
    spans, sizes = np.empty((row_starts[-1], 2), np.int32), np.empty(num_splats, np.int32)
    geometry = means2d.reshape(-1, 2), ellipses.reshape(-1, 4)
    run_shares(
        find_spans, num_splats // SPLATS_PER_SHARE, *geometry, rows, row_starts, spans, sizes, num_columns
    )

    slot_starts = _starts(sizes, "tiles")
    counts = np.zeros((num_cameras, num_rows, num_columns), np.int32)
    shares = min(num_rows, num_splats // (2 * SPLATS_PER_SHARE))  # each looks at all splats
    run_shares(count_tiles, shares, rows, row_starts, spans, counts)
    tile_starts = _starts(counts.reshape(-1), "tiles")
    places = tile_starts[:-1].reshape(counts.shape).copy()
    splats, slots = np.empty(slot_starts[-1], np.int32), np.empty(slot_starts[-1], np.int32)
    run_shares(
        fill_tiles, shares, order, visible, rows, row_starts, spans, slot_starts, places, splats, slots
    )
    return Tiling(size, slot_starts, tile_starts, splats, slots)


def _starts(sizes: np.ndarray, what: str) -> np.ndarray:
    """Return where each item starts when items of these sizes stand in a row, and the end."""
    starts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    if starts[-1] > MAX_INTERSECTIONS:
        raise RuntimeError(
            f"rasterize: the splats meet {what} {starts[-1]} times, more than {MAX_INTERSECTIONS}; "
            "render fewer cameras a call, smaller images, or fewer or smaller Gaussians."
        )
    return starts
