"""The splats of each tile, from front to back."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..inputs import RasterInputs
from .layout import MAX_INDEX, Kernels, num_blocks, num_tiles


class SplatTiles(NamedTuple):
    """The tiles of splats [C, N], as kernel ``project`` stores them."""

    counts: Tensor  # [C, N] int32
    spans: Tensor  # [C, N, NUM_SPANS] int16, TileSpans of the splats with tiles


class Tiling(NamedTuple):
    """The I intersections of splats and tiles in two orders: tile by tile, and splat by splat.

    The second is the order of gradients: those of one splat are adjacent.
    """

    tile_starts: Tensor  # [T + 1] int32 index of each tile's first intersection, and the end
    splat_ids: Tensor  # [I] int32 splat of each intersection, tile by tile, front to back
    row_ids: Tensor  # [I] int64 index of each of these intersections in the order by splats
    depth_order: Tensor  # [C * N] int64 splats from near to far
    ends: Tensor  # [C * N] int64 index after the last intersection of each of these splats
    counts: Tensor  # [C, N] int32 number of tiles of each splat


def tile_splats(inputs: RasterInputs, depths: Tensor, tiles: SplatTiles, kernels: Kernels) -> Tiling:
    """Sort splats by depth, equal depths by index, and list them in their tiles.

    This waits for the device once, for the number of intersections.

    Args:
        inputs: Numbers of cameras and Gaussians, image size.
        depths: [C, N] camera z.
        tiles: Tiles of each splat.
        kernels: Compiled kernels.

    Raises:
        RuntimeError: There are more intersections than the kernels can number.
    """
    num_splats, device = depths.numel(), depths.device
    depth_order = depths.flatten().sort(stable=True).indices  # [C * N]
    ends = tiles.counts.flatten().index_select(0, depth_order).cumsum(0)  # [C * N] int64
    total = int(ends[-1]) if num_splats else 0
    if total > MAX_INDEX:
        raise RuntimeError(
            f"rasterize: {total} intersections of Gaussians and tiles, more than {MAX_INDEX}; "
            "render fewer cameras per call, smaller images, or fewer or smaller Gaussians."
        )
    tile_ids, splat_ids = torch.empty(2, total, dtype=torch.int32, device=device)
    kernels.launch(
        "list_tiles",
        num_blocks(num_splats),
        num_splats,
        inputs.num_gaussians,
        inputs.width,
        inputs.height,
        depth_order,
        ends,
        tiles.counts,
        tiles.spans,
        tile_ids,
        splat_ids,
    )
    # A stable sort by tile keeps the order by depth within each tile.
    sorted_tiles, row_ids = tile_ids.sort(stable=True)
    count = inputs.num_cameras * num_tiles(inputs.width, inputs.height)
    boundaries = torch.arange(count + 1, dtype=torch.int32, device=device)
    tile_starts = torch.searchsorted(sorted_tiles, boundaries, out_int32=True)
    splat_ids = splat_ids.index_select(0, row_ids)
    return Tiling(tile_starts, splat_ids, row_ids, depth_order, ends, tiles.counts)
