"""The kernels as autograd functions: ``Project`` Gaussians to splats, ``Composite`` splats to images.

They are two so that the 2D means are a node of the graph and have a gradient. The tiling has none. All
tensors are on one device and of one dtype; the kernels read contiguous ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .layout import NUM_MOMENTS, NUM_SPANS, Kernels, num_blocks, num_tiles
from .tiling import Tiling


class ProjectionOptions(NamedTuple):
    """How cameras project, in the order of the kernels' parameters."""

    width: int  # pixels
    height: int  # pixels
    is_pinhole: int  # 1, or 0 of orthographic cameras
    near_plane: float  # world units
    eps2d: float  # square pixels


class Project(torch.autograd.Function):
    """From T sets of Gaussians and their cameras to splats [C, N]; the first three results have gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        cameras: tuple[Tensor, Tensor],
        cameras_per_set: Sequence[int],
        options: ProjectionOptions,
        kernels: Kernels,
    ) -> tuple[Tensor, ...]:
        """Project each set of Gaussians into its cameras.

        Args:
            ctx: What the backward pass needs.
            means: [T, N, 3] world units.
            quats: [T, N, 4] wxyz.
            scales: [T, N, 3] world units.
            opacities: [T, N].
            cameras: viewmats [C, 4, 4] and Ks [C, 3, 3], set by set.
            cameras_per_set: T numbers.
            options: Options of the projection.
            kernels: Compiled kernels.

        Returns:
            means2d [C, N, 2] pixels; ellipses [C, N, 4] precision_x, slope, precision_y, opacity; depths [C,
            N]; radii [C, N, 2] int32, pixels; counts [C, N] int32 and spans [C, N, NUM_SPANS] int16 of tiles.
            All are 0 for culled splats, except for the spans, which are undefined.
        """
        shape = (len(cameras[0]), means.shape[1])
        means2d, ellipses, depths = (means.new_empty(*shape, *tail) for tail in ((2,), (4,), ()))
        radii, counts = (means.new_empty(*shape, *tail, dtype=torch.int32) for tail in ((2,), ()))
        spans = means.new_empty(*shape, NUM_SPANS, dtype=torch.int16)
        gaussians = (means, quats, scales, opacities)
        outputs = (means2d, ellipses, depths, radii, counts, spans)
        for index, part in enumerate(_slices(cameras_per_set)):
            size = (cameras_per_set[index], means.shape[1])
            inputs, results = (*_at(gaussians, index), *_at(cameras, part)), _at(outputs, part)
            kernels.launch("project", num_blocks(math.prod(size)), *size, *inputs, *options, *results)
        ctx.save_for_backward(means, quats, scales, *cameras, radii)
        ctx.cameras_per_set, ctx.options, ctx.kernels = cameras_per_set, options, kernels
        ctx.mark_non_differentiable(radii, counts, spans)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *g_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients to the Gaussians."""
        *gaussians, viewmats, Ks, radii = ctx.saved_tensors
        width, height, is_pinhole, _, eps2d = ctx.options
        g_splats = [gradient.contiguous() for gradient in g_outputs[:3]]
        g_gaussians = [torch.empty_like(tensor) for tensor in gaussians]
        g_gaussians.append(viewmats.new_empty(gaussians[0].shape[:2]))
        options = (width, height, is_pinhole, eps2d)
        count = gaussians[0].shape[1]
        for index, part in enumerate(_slices(ctx.cameras_per_set)):
            cameras, splats = _at((viewmats, Ks), part), _at((radii, *g_splats), part)
            inputs = (*_at(gaussians, index), *cameras, *options, *splats)
            size = (ctx.cameras_per_set[index], count)
            outputs = _at(g_gaussians, index)
            ctx.kernels.launch("project_backward", num_blocks(count), *size, *inputs, *outputs)
        return (*g_gaussians, None, None, None, None)


def _slices(counts: Sequence[int]) -> Iterator[slice]:
    """Yield consecutive slices of the given lengths."""
    first = 0
    for count in counts:
        yield slice(first, first + count)
        first += count


def _at(tensors: Sequence[Tensor], index: int | slice) -> tuple[Tensor, ...]:
    """Return a part of each tensor."""
    return tuple(tensor[index] for tensor in tensors)


class Composite(torch.autograd.Function):
    """From splats of up to MAX_CHANNELS channels, backgrounds and a tiling to renders and alphas."""

    @staticmethod
    def forward(
        ctx: Any,
        means2d: Tensor,
        ellipses: Tensor,
        channels: Tensor,
        backgrounds: Tensor,
        tiling: Tiling,
        size: tuple[int, int],
        kernels: Kernels,
    ) -> tuple[Tensor, Tensor]:
        """Composite splats over backgrounds.

        Args:
            ctx: What the backward pass needs.
            means2d: [C, N, 2] pixels.
            ellipses: [C, N, 4] from ``Project``.
            channels: [C, N, D].
            backgrounds: [C, D].
            tiling: The splats of each tile.
            size: Width and height, pixels.
            kernels: Kernels compiled for D channels.

        Returns:
            renders [C, H, W, D] and alphas [C, H, W, 1].
        """
        width, height = size
        num_cameras, num_channels = backgrounds.shape
        renders = means2d.new_empty(num_cameras, height, width, num_channels)
        alphas = means2d.new_empty(num_cameras, height, width, 1)
        splats = (means2d, ellipses, channels)
        inputs = (tiling.tile_starts, tiling.splat_ids, *splats, backgrounds, *size)
        kernels.launch("composite", num_cameras * num_tiles(*size), *inputs, renders, alphas)
        ctx.save_for_backward(*splats, renders, alphas, *tiling)
        ctx.size, ctx.kernels = size, kernels
        return renders, alphas

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_renders: Tensor, g_alphas: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients to the splats and backgrounds from those to renders and alphas."""
        means2d, ellipses, channels, renders, alphas, *lists = ctx.saved_tensors
        tiling = Tiling(*lists)
        g_backgrounds = None
        if ctx.needs_input_grad[3]:
            g_backgrounds = (g_renders * (1.0 - alphas)).sum((1, 2))  # [C, D]
        if not any(ctx.needs_input_grad[:3]):
            return None, None, None, g_backgrounds, None, None, None
        # The sums of each intersection, in the order by splats
        rows = means2d.new_empty(len(tiling.splat_ids), NUM_MOMENTS + channels.shape[-1])
        intersections = (tiling.tile_starts, tiling.splat_ids, tiling.row_ids)
        inputs = (means2d, ellipses, channels, renders, alphas, g_renders.contiguous(), g_alphas.contiguous())
        blocks = len(channels) * num_tiles(*ctx.size)
        ctx.kernels.launch("composite_backward", blocks, *intersections, *inputs, *ctx.size, rows)
        g_splats = tuple(torch.empty_like(tensor) for tensor in (means2d, ellipses, channels))
        num_splats = tiling.counts.numel()
        order = (tiling.depth_order, tiling.ends, tiling.counts)
        blocks = num_blocks(num_splats)
        ctx.kernels.launch("sum_rows", blocks, num_splats, *order, ellipses, rows, *g_splats)
        return (*g_splats, g_backgrounds, None, None, None)
