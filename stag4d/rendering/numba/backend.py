"""The CPU backend: project, sort by depth, assign to tiles, composite, with kernels compiled by Numba.

Numba compiles on the user's machine, so no C++ compiler is needed. Up to four channels are composited in one
pass and more in several: the gradient to the geometry is linear in the gradients to the channels, so autograd
sums those of the passes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..inputs import RasterInputs, Rasterization
from .autograd import Composite, DivideDepthByAlpha, Project, as_float32
from .cameras import pack_cameras
from .compositing import MAX_CHANNELS, composite_tiles
from .layout import Splats
from .projection import project
from .tiling import tile_splats


def rasterize(inputs: RasterInputs) -> Rasterization:
    """Rasterize on the CPU.

    Returns:
        As ``rendering.rasterize``; all of meta is zero for culled Gaussians.

    Raises:
        RuntimeError: There are more intersections of splats and tiles than an int32 can number.
    """
    gaussians = (inputs.means, inputs.quats, inputs.scales, inputs.opacities)
    projected = Project.apply(*map(as_float32, gaussians), pack_cameras(inputs))
    means2d, ellipses, depths, radii, _ = projected
    splats = Splats(*(tensor.detach().numpy() for tensor in projected))
    tiling = tile_splats((inputs.height, inputs.width), splats)
    channels = _channels(inputs, depths)  # [C, N, D']
    backgrounds = _backgrounds(inputs, channels)  # [C, D']
    groups = (tensor.split(MAX_CHANNELS, dim=-1) for tensor in (channels, backgrounds))
    images = [Composite.apply(means2d, ellipses, *group, tiling) for group in zip(*groups, strict=True)]
    alphas = images[0][1]  # [C, H, W, 1]
    renders = images[0][0] if len(images) == 1 else torch.cat([image for image, _ in images], dim=-1)
    if inputs.renders_expected_depth:
        renders = DivideDepthByAlpha.apply(renders, alphas)
    return renders, alphas, inputs.meta(means2d, radii, depths)


def warm_up() -> None:
    """Compile every kernel, or load it from the cache, by rendering one Gaussian forward and backward."""
    with torch.inference_mode(False), torch.enable_grad():
        inputs = RasterInputs(
            means=torch.tensor([[0.0, 0.0, 2.0]], requires_grad=True),
            quats=torch.ones(1, 4),
            scales=torch.full((1, 3), 0.1),
            opacities=torch.ones(1),
            colors=torch.ones(1, 3),
            viewmats=torch.eye(4)[None],
            Ks=torch.tensor([[[16.0, 0.0, 8.0], [0.0, 16.0, 8.0], [0.0, 0.0, 1.0]]]),
            width=16,
            height=16,
        )
        renders, _, _ = rasterize(inputs)
        renders.sum().backward()


def kernel_cache() -> tuple[Path | None, bool]:
    """Return Numba's cache folder, None without one, and whether the kernels were loaded from it.

    After :func:`warm_up`.
    """
    kernels: list[Any] = [project, composite_tiles]
    folder = kernels[0].stats.cache_path
    is_loaded = all(kernel.stats.cache_hits and not kernel.stats.cache_misses for kernel in kernels)
    return folder and Path(folder), is_loaded


def _channels(inputs: RasterInputs, depths: Tensor) -> Tensor:
    """Return the channels [C, N, D'] that the render mode composites."""
    if not inputs.renders_colors:
        return depths[..., None]
    colors = as_float32(inputs.colors).expand(*depths.shape, -1)
    return torch.cat([colors, depths[..., None]], dim=-1) if inputs.renders_depth else colors


def _backgrounds(inputs: RasterInputs, channels: Tensor) -> Tensor:
    """Return the backgrounds of all channels [C, D'], 0 for depth."""
    zeros = torch.zeros(channels.shape[0], channels.shape[-1])
    if inputs.backgrounds is None or not inputs.renders_colors:
        return zeros
    return torch.cat([as_float32(inputs.backgrounds), zeros[:, inputs.backgrounds.shape[-1] :]], dim=-1)
