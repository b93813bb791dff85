"""The reference backend: project, sort and assign to tiles, composite.

The other backends are tested against it. It has the semantics of ``gsplat.rasterization`` with
``packed=False``. Every visible Gaussian is projected to 2D, then each tile of 16x16 pixels composites the
Gaussians that intersect it from front to back. A tile's arithmetic is recomputed in the backward pass instead
of being stored, so memory grows with the size of one step and not with the number of Gaussians.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..inputs import RasterInputs, Rasterization
from .compositing import composite
from .projection import conics, find_visible_pairs, project
from .tiling import tile_splats

_MIN_DIVISOR = 1e-10  # of expected depth


def rasterize(inputs: RasterInputs) -> Rasterization:
    """Rasterize with torch operations.

    Returns:
        As ``rendering.rasterize``; ``means2d`` and ``depths`` of culled Gaussians are zero.
    """
    with torch.no_grad():
        pairs = find_visible_pairs(inputs)
    pair_ids = pairs.camera_ids * inputs.num_gaussians + pairs.gaussian_ids  # [M] into C * N
    projection = project(inputs, pairs.camera_ids, pairs.gaussian_ids)

    # The renders must depend on means2d as [C, N, 2]: scatter to all pairs and gather the visible ones again.
    means2d = _scatter(projection.means2d, pair_ids, inputs)
    splats = torch.cat(
        [
            means2d.flatten(0, 1).index_select(0, pair_ids),
            conics(projection.covs2d),
            inputs.opacities.index_select(0, pairs.gaussian_ids)[:, None],
            _channels(inputs, projection.depths, pair_ids),
            torch.ones_like(projection.depths)[:, None],  # the composited sum of this channel is the alpha
        ],
        dim=-1,
    )  # [M, 6 + D' + 1]
    with torch.no_grad():
        tiling = tile_splats(inputs, pairs, splats[:, :2].detach(), projection.depths.detach())
    sums = composite(inputs, splats, tiling)  # [C, H, W, D' + 1]
    meta = inputs.meta(
        means2d,
        _scatter(pairs.radii.to(torch.int32), pair_ids, inputs),
        _scatter(projection.depths, pair_ids, inputs),
    )
    return _finish(inputs, sums[..., :-1], sums[..., -1:]), sums[..., -1:], meta


def _channels(inputs: RasterInputs, depths: Tensor, pair_ids: Tensor) -> Tensor:
    """Return the channels [M, D'] that the render mode composites."""
    if not inputs.renders_colors:
        return depths[:, None]
    colors = inputs.colors.expand(inputs.num_cameras, inputs.num_gaussians, -1)  # [C, N, D]
    selected = colors.flatten(0, 1).index_select(0, pair_ids)  # [M, D]
    return torch.cat([selected, depths[:, None]], dim=-1) if inputs.renders_depth else selected


def _scatter(values: Tensor, pair_ids: Tensor, inputs: RasterInputs) -> Tensor:
    """Return values [M, ...] of visible pairs as [C, N, ...], zero where culled."""
    num_cameras, num_gaussians = inputs.num_cameras, inputs.num_gaussians
    scattered = values.new_zeros(num_cameras * num_gaussians, *values.shape[1:])
    return scattered.index_copy(0, pair_ids, values).reshape(num_cameras, num_gaussians, *values.shape[1:])


def _finish(inputs: RasterInputs, renders: Tensor, alphas: Tensor) -> Tensor:
    """Add the backgrounds to the colors, and divide the accumulated depth by alpha for expected depth."""
    num_colors = renders.shape[-1] - inputs.renders_depth
    rgb, depth = renders[..., :num_colors], renders[..., num_colors:]
    if inputs.backgrounds is not None and num_colors:
        rgb = rgb + (1 - alphas) * inputs.backgrounds[:, None, None, :]
    if inputs.renders_expected_depth:
        depth = depth / alphas.clamp(min=_MIN_DIVISOR)
    return torch.cat([rgb, depth], dim=-1)
