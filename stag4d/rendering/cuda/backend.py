"""The CUDA backend: project, sort by depth, assign to tiles, composite, with kernels compiled at run time.

Up to ``MAX_CHANNELS`` channels are composited in one pass and more in several: the gradient to the geometry
is linear in the gradients to the channels, so autograd sums those of the passes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from ..inputs import RasterInputs, Rasterization
from .autograd import Composite, Project, ProjectionOptions
from .layout import MAX_CHANNELS, MAX_INDEX, MAX_TILE_ROWS, TILE_SIZE, Kernels, num_tiles
from .loading import load_kernels
from .tiling import SplatTiles, tile_splats

LoadKernels: TypeAlias = Callable[[torch.device, int], Kernels]  # of a device and number of channels

_MIN_DIVISOR = 1e-10  # of expected depth


def rasterize(inputs: RasterInputs, load: LoadKernels = load_kernels) -> Rasterization:
    """Rasterize float32 CUDA tensors.

    Args:
        inputs: What to rasterize.
        load: Returns the compiled kernels; tests pass kernels that run on the CPU.

    Returns:
        As ``rendering.rasterize``; all of meta is zero for culled Gaussians.

    Raises:
        RuntimeError: The kernels cannot be compiled or launched, or their indices would overflow.
    """
    _check_sizes(inputs)
    device = inputs.means.device
    num_channels = inputs.renders_depth + (inputs.colors.shape[-1] if inputs.renders_colors else 0)
    kernels = load(device, min(num_channels, MAX_CHANNELS))
    gaussians = [inputs.means, inputs.quats, inputs.scales, inputs.opacities]
    if inputs.cameras_per_set is None:
        gaussians = [tensor[None] for tensor in gaussians]
    cameras_per_set = inputs.cameras_per_set or (inputs.num_cameras,)
    cameras = (inputs.viewmats.detach().contiguous(), inputs.Ks.detach().contiguous())
    options = ProjectionOptions(
        inputs.width,
        inputs.height,
        int(inputs.projection == "pinhole"),
        float(inputs.near_plane),
        float(inputs.eps2d),
    )
    gaussians = [tensor.contiguous() for tensor in gaussians]
    projected = Project.apply(*gaussians, cameras, cameras_per_set, options, kernels)
    means2d, ellipses, depths, radii, counts, spans = projected
    tiling = tile_splats(inputs, depths.detach(), SplatTiles(counts, spans), kernels)
    size = (inputs.width, inputs.height)
    channels = _channels(inputs, depths)  # [C, N, D']
    backgrounds = _backgrounds(inputs, channels)  # [C, D']
    images = [
        Composite.apply(
            means2d,
            ellipses,
            group.contiguous(),
            background.contiguous(),
            tiling,
            size,
            load(device, group.shape[-1]),
        )
        for group, background in zip(
            channels.split(MAX_CHANNELS, dim=-1), backgrounds.split(MAX_CHANNELS, dim=-1), strict=True
        )
    ]
    alphas = images[0][1]  # [C, H, W, 1]
    renders = images[0][0] if len(images) == 1 else torch.cat([image for image, _ in images], dim=-1)
    if inputs.renders_expected_depth:
        depth = renders[..., -1:] / alphas.clamp(min=_MIN_DIVISOR)
        renders = torch.cat([renders[..., :-1], depth], dim=-1)
    return renders, alphas, inputs.meta(means2d, radii, depths)


def _check_sizes(inputs: RasterInputs) -> None:
    """Raise RuntimeError if the kernels' integers cannot number the splats, the tiles or their rows."""
    if inputs.num_cameras * inputs.num_gaussians > MAX_INDEX:
        raise RuntimeError(
            f"rasterize: {inputs.num_cameras} cameras of {inputs.num_gaussians} Gaussians, more than "
            f"{MAX_INDEX} in all; render fewer cameras per call."
        )
    if max(inputs.width, inputs.height) > MAX_TILE_ROWS * TILE_SIZE:
        raise RuntimeError(
            f"rasterize: {inputs.width} x {inputs.height} pixels, more than {MAX_TILE_ROWS * TILE_SIZE} on a "
            "side; use backend 'torch' or smaller images."
        )
    tiles = num_tiles(inputs.width, inputs.height)
    if inputs.num_cameras * tiles > MAX_INDEX:
        raise RuntimeError(
            f"rasterize: {inputs.num_cameras} cameras of {tiles} tiles of {TILE_SIZE} x {TILE_SIZE} pixels, "
            f"more than {MAX_INDEX} in all; render fewer cameras per call."
        )


def _channels(inputs: RasterInputs, depths: Tensor) -> Tensor:
    """Return the channels [C, N, D'] that the render mode composites."""
    if not inputs.renders_colors:
        return depths[..., None]
    colors = inputs.colors.expand(*depths.shape, -1)
    return torch.cat([colors, depths[..., None]], dim=-1) if inputs.renders_depth else colors


def _backgrounds(inputs: RasterInputs, channels: Tensor) -> Tensor:
    """Return the backgrounds of all channels [C, D'], 0 for depth."""
    zeros = channels.new_zeros(channels.shape[0], channels.shape[-1])
    if inputs.backgrounds is None or not inputs.renders_colors:
        return zeros
    return torch.cat([inputs.backgrounds, zeros[:, inputs.backgrounds.shape[-1] :]], dim=-1)
