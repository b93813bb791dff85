"""Assignment of projected Gaussians to image tiles, sorted by depth within each tile."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..inputs import RasterInputs
from .constants import TILE_SIZE
from .projection import VisiblePairs


class Tiling(NamedTuple):
    """The splats of tile t, front to back: ``splat_ids[offsets[t] : offsets[t] + counts[t]]``.

    A splat is a visible pair; tiles are numbered row by row, camera by camera.
    """

    splat_ids: Tensor  # [I], one of each intersection of a splat with a tile
    offsets: Tensor  # [T]
    counts: Tensor  # [T]


def tile_grid(inputs: RasterInputs) -> tuple[int, int]:
    """Return the number of columns and rows of tiles."""
    return math.ceil(inputs.width / TILE_SIZE), math.ceil(inputs.height / TILE_SIZE)


def tile_splats(inputs: RasterInputs, pairs: VisiblePairs, means2d: Tensor, depths: Tensor) -> Tiling:
    """Sort splats by depth, equal depths by index, and list them in the tiles that their radii reach.

    Args:
        inputs: Image size and number of cameras.
        pairs: Camera and radii of each splat.
        means2d: [M, 2] pixels.
        depths: [M].
    """
    tiles_x, tiles_y = tile_grid(inputs)
    limits = means2d.new_tensor((tiles_x, tiles_y))
    first = ((means2d - pairs.radii) / TILE_SIZE).floor().clamp(min=0).minimum(limits).long()  # [M, 2]
    end = ((means2d + pairs.radii) / TILE_SIZE).ceil().clamp(min=0).minimum(limits).long()  # exclusive
    num_tiles = end - first  # [M, 2] columns and rows
    order = depths.argsort(stable=True)
    repeats = num_tiles.prod(-1)[order]
    splat_ids = order.repeat_interleave(repeats)  # [I], ordered by depth
    ranks = torch.arange(splat_ids.shape[0], device=order.device)
    ranks = ranks - (repeats.cumsum(0) - repeats).repeat_interleave(repeats)  # [I] among the splat's tiles
    columns = num_tiles[splat_ids, 0]
    tile_x, tile_y = first[splat_ids, 0] + ranks % columns, first[splat_ids, 1] + ranks // columns
    tile_ids = (pairs.camera_ids[splat_ids] * tiles_y + tile_y) * tiles_x + tile_x
    counts = tile_ids.bincount(minlength=inputs.num_cameras * tiles_y * tiles_x)
    # A stable sort by tile keeps the order by depth within each tile.
    return Tiling(splat_ids[tile_ids.argsort(stable=True)], counts.cumsum(0) - counts, counts)
