"""Assignment of splats to image tiles: which tiles each splat intersects, and each tile's splats by depth.

A splat intersects a range of columns in each of some rows of tiles. These ranges are computed once and
stored: computed again to fill the tiles' lists they may be rounded differently, once in a million splats, and
a write would go beyond the end of a list.
"""

from __future__ import annotations

import math

import numpy as np

from ...kernels.compilation import compiled, inlined
from ...kernels.threads import run_chunks
from .depth_sort import sort_by_depth
from .layout import TILE_SIZE, Splats, SplatTiles, Tiling

MAX_INTERSECTIONS = 2**31 - 1  # they are numbered by int32
SPLATS_PER_CHUNK = 4096  # fewer are not worth another thread


@inlined
def _clamp_to_int(value: float, low: int, high: int) -> int:
    """Return the integer part of a value, clamped to [low, high]; low for NaN.

    Converting first would be undefined for NaN and numbers beyond the range of integers.
    """
    if not value > low:
        return low
    return high if value > high else int(value)


@compiled
def find_columns(
    chunk: int,
    num_chunks: int,
    splats: Splats,
    tiles: SplatTiles,
    num_columns: int,
    num_tiles: np.ndarray,
) -> None:
    """Find the columns of tiles that each splat intersects in each of its rows, and how many tiles in all.

    In the row of pixels at dy from the mean, the ellipse is centered at slope * dy and has the half width
    sqrt((max_sigma - precision_y dy^2) / precision_x). Its right edge is a concave function of dy, its left
    one convex: the extreme in a range of rows is that of the ellipse, clamped to the range.

    Args:
        chunk: Index of this chunk of splats.
        num_chunks: Number of chunks.
        splats: [S], flat.
        tiles: Rows of each splat; columns are written.
        num_columns: Columns of tiles in the image.
        num_tiles: [S], written.
    """
    means2d, ellipses = splats.means2d, splats.ellipses
    count = means2d.shape[0]
    for splat in range(count * chunk // num_chunks, count * (chunk + 1) // num_chunks):
        total = 0
        first_row, num_rows = tiles.rows[splat, 0], tiles.rows[splat, 1]
        if num_rows > 0:
            x, y = np.float64(means2d[splat, 0]), np.float64(means2d[splat, 1])
            precision_x, slope = np.float64(ellipses[splat, 0]), np.float64(ellipses[splat, 1])
            precision_y, max_sigma = np.float64(ellipses[splat, 2]), np.float64(ellipses[splat, 3])
            radius_y = math.sqrt(max_sigma / precision_y)
            # The maximum of x is at dy = cov_xy sqrt(2 max_sigma / cov_xx).
            variance_x = 0.5 / precision_x + 0.5 * slope * slope / precision_y
            extreme = 0.5 * slope / precision_y * math.sqrt(2.0 * max_sigma / variance_x)
        for row in range(num_rows):
            top = (first_row + row) * TILE_SIZE + 0.5 - y  # dy of the first row of pixel centers
            low, high = max(top, -radius_y), min(top + (TILE_SIZE - 1.0), radius_y)
            begin = end = 0
            if low <= high:
                left, right = min(max(-extreme, low), high), min(max(extreme, low), high)
                left_width = math.sqrt(max((max_sigma - precision_y * left * left) / precision_x, 0.0))
                right_width = math.sqrt(max((max_sigma - precision_y * right * right) / precision_x, 0.0))
                first = np.ceil(x + slope * left - left_width - 0.5)
                last = np.floor(x + slope * right + right_width - 0.5)
                if first <= last:  # else the ellipse lies between two pixel centers
                    begin = _clamp_to_int(first / TILE_SIZE, 0, num_columns)
                    end = max(begin, _clamp_to_int(last / TILE_SIZE + 1.0, 0, num_columns))
            index = tiles.row_offsets[splat] + row
            tiles.columns[index, 0], tiles.columns[index, 1] = begin, end
            total += end - begin
        num_tiles[splat] = total


@compiled
def count_splats(chunk: int, num_chunks: int, tiles: SplatTiles, counts: np.ndarray) -> None:
    """Count how many splats intersect each tile.

    Args:
        chunk: Index of this chunk, a range of rows of tiles in every camera: each reads all splats.
        num_chunks: Number of chunks.
        tiles: From ``find_columns``.
        counts: [C, rows, columns], 0; added to.
    """
    rows, row_offsets, columns = tiles
    num_cameras, num_rows, _ = counts.shape
    count = rows.shape[0] // num_cameras
    top, bottom = num_rows * chunk // num_chunks, num_rows * (chunk + 1) // num_chunks
    for camera in range(num_cameras):
        for splat in range(camera * count, (camera + 1) * count):
            offset = row_offsets[splat] - rows[splat, 0]
            end = min(bottom, rows[splat, 0] + rows[splat, 1])
            for row in range(max(top, rows[splat, 0]), end):
                for column in range(columns[offset + row, 0], columns[offset + row, 1]):
                    counts[camera, row, column] += 1


@compiled
def list_splats(
    chunk: int,
    num_chunks: int,
    depth_order: tuple[np.ndarray, np.ndarray],
    tiles: SplatTiles,
    cursors: np.ndarray,
    tiling: Tiling,
) -> None:
    """Append each splat, from near to far, to the lists of its tiles.

    Args:
        chunk: Index of this chunk, a range of rows of tiles in every camera.
        num_chunks: Number of chunks.
        depth_order: From ``sort_by_depth``.
        tiles: From ``find_columns``.
        cursors: [C, rows, columns] index of each tile's first intersection; becomes the one after its last.
        tiling: Offsets; splat_ids and gradient_rows are written.
    """
    splat_ids, num_visible = depth_order
    rows, row_offsets, columns = tiles
    num_cameras, num_rows, _ = cursors.shape
    count = rows.shape[0] // num_cameras
    top, bottom = num_rows * chunk // num_chunks, num_rows * (chunk + 1) // num_chunks
    for camera in range(num_cameras):
        for rank in range(camera * count, camera * count + num_visible[camera]):
            splat = splat_ids[rank]
            first, end = rows[splat, 0], rows[splat, 0] + rows[splat, 1]
            if end <= top or first >= bottom:
                continue
            offset, gradient_row = row_offsets[splat] - first, tiling.splat_offsets[splat]
            for row in range(first, min(bottom, end)):
                begin, stop = columns[offset + row, 0], columns[offset + row, 1]
                if row >= top:  # rows above belong to another chunk, but their intersections are numbered
                    for column in range(begin, stop):
                        cursor = cursors[camera, row, column]
                        tiling.splat_ids[cursor] = splat
                        tiling.gradient_rows[cursor] = gradient_row + (column - begin)
                        cursors[camera, row, column] = cursor + 1
                gradient_row += stop - begin


def tile_splats(size: tuple[int, int], splats: Splats) -> Tiling:
    """List the splats of each tile from front to back.

    Args:
        size: Height and width, pixels.
        splats: [C, N].

    Returns:
        The intersections of all cameras.

    Raises:
        RuntimeError: There are more intersections than an int32 can number.
    """
    num_cameras, num_splats = splats.depths.shape[0], splats.depths.size
    num_rows, num_columns = (-(-pixels // TILE_SIZE) for pixels in size)
    splats = splats.flatten()
    depth_order = sort_by_depth(splats, num_cameras)

    row_offsets = _offsets(splats.tile_rows[:, 1], "rows of tiles")
    tiles = SplatTiles(splats.tile_rows, row_offsets, np.empty((row_offsets[-1], 2), np.int32))
    num_tiles = np.empty(num_splats, np.int32)
    run_chunks(find_columns, num_splats // SPLATS_PER_CHUNK, splats, tiles, num_columns, num_tiles)

    splat_offsets = _offsets(num_tiles, "tiles")
    counts = np.zeros((num_cameras, num_rows, num_columns), np.int32)
    max_chunks = min(num_rows, num_splats // (2 * SPLATS_PER_CHUNK))  # few, as each reads all splats
    run_chunks(count_splats, max_chunks, tiles, counts)
    tile_offsets = _offsets(counts.reshape(-1), "tiles")
    splat_ids, gradient_rows = np.empty(splat_offsets[-1], np.int32), np.empty(splat_offsets[-1], np.int32)
    tiling = Tiling(size, tile_offsets, splat_ids, gradient_rows, splat_offsets)
    cursors = tile_offsets[:-1].reshape(counts.shape).copy()
    run_chunks(list_splats, max_chunks, depth_order, tiles, cursors, tiling)
    return tiling


def _offsets(counts: np.ndarray, what: str) -> np.ndarray:
    """Return where the items of each count begin when all are stored one after another, and the end."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    if offsets[-1] > MAX_INTERSECTIONS:
        raise RuntimeError(
            f"rasterize: {offsets[-1]} intersections of Gaussians and {what}, more than {MAX_INTERSECTIONS}; "
            "render fewer cameras per call, smaller images, or fewer or smaller Gaussians."
        )
    return offsets
