"""The arrays that the kernels exchange.

A splat is a Gaussian projected into one camera; the splats of all cameras are numbered as arrays [C * N] are.
An intersection is one splat in one tile. Camera by camera, tiles are numbered row by row.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TILE_SIZE = 16  # pixels


class Splats(NamedTuple):
    """Projected Gaussians [C, N, ...] or [C * N, ...]; all arrays are 0 where culled."""

    means2d: np.ndarray  # [..., 2] pixels
    ellipses: np.ndarray  # [..., 4] precision_x, slope, precision_y, max_sigma, see ``projection``
    depths: np.ndarray  # [...] camera z
    radii: np.ndarray  # [..., 2] int32, pixels
    tile_rows: np.ndarray  # [..., 2] int32: first row of tiles, and number of rows

    def flatten(self) -> Splats:
        """Return views [C * N, ...] of arrays [C, N, ...]."""
        return Splats(*(array.reshape(-1, *array.shape[2:]) for array in self))


class SplatTiles(NamedTuple):
    """The tiles that each of S splats intersects: in each of its rows of tiles a range of columns."""

    rows: np.ndarray  # [S, 2] first row of tiles, and number of rows
    row_offsets: np.ndarray  # [S + 1] index of the splat's first row in ``columns``, and the end
    columns: np.ndarray  # [R, 2] first column of tiles, and the one after the last


class Tiling(NamedTuple):
    """The I intersections in two orders: tile by tile from front to back, and splat by splat.

    The second is the order of gradients: those of one splat are adjacent, and are summed in an order that
    does not depend on how the tiles were distributed over threads.
    """

    size: tuple[int, int]  # height and width, pixels
    tile_offsets: np.ndarray  # [T + 1] index of each tile's first intersection, and the end
    splat_ids: np.ndarray  # [I] splat of each intersection, tile by tile
    gradient_rows: np.ndarray  # [I] index of each of these intersections in the order by splats
    splat_offsets: np.ndarray  # [S + 1] index of each splat's first intersection in that order, and the end
