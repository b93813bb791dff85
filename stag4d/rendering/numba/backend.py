"""Owns the CPU backend of the rasterizer: compiled by Numba, so that no compiler is needed on the machine.

Two autograd functions, so that the projected means are a node of the graph and keep their gradient:
``_Project`` turns Gaussians into splats, ``_Composite`` splats into images. Between them stands a
``Tiling``, the order in which splats are composited, which has no gradient. Up to four channels are
composited in one go and more in groups: the gradient to geometry is linear in the gradients to channels, so
autograd adds the groups up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..inputs import RasterInputs, Rasterization
from . import projection, splat_intrinsics, tile_kernels
from .projection_backward import project_backward
from .simd import WIDTH
from .tiling import SPLATS_PER_SHARE, Tiling, tile_splats
from .workers import run_shares

TILES_PER_SHARE = 8  # fewer are not worth another thread
MIN_DIVISOR = 1e-10  # of expected depth


def rasterize(inputs: RasterInputs) -> Rasterization:
    """Rasterize on the CPU.

    Returns:
        As ``rendering.rasterize``.

    Raises:
        RuntimeError: More splats meet more tiles than an int32 can number.
    """
    means, quats, scales, opacities = (
        _plain(tensor) for tensor in (inputs.means, inputs.quats, inputs.scales, inputs.opacities)
    )
    cameras = projection.pack_cameras(
        _plain(inputs.viewmats).detach().numpy(),
        _plain(inputs.Ks).detach().numpy(),
        inputs.width,
        inputs.height,
        inputs.near_plane,
        inputs.eps2d,
    )
    means2d, ellipses, depths, radii, tile_rows = _Project.apply(means, quats, scales, opacities, cameras)
    splats = (tensor.detach().numpy() for tensor in (means2d, ellipses, depths, radii, tile_rows))
    tiling = tile_splats((inputs.height, inputs.width), *splats)
    channels = _channels(inputs, depths)  # [C, N, D']
    behind = _channels_behind(inputs, channels)  # [C, D']
    groups = (tensor.split(tile_kernels.MAX_CHANNELS, dim=-1) for tensor in (channels, behind))
    images = [_Composite.apply(means2d, ellipses, *group, tiling) for group in zip(*groups, strict=True)]
    alphas = images[0][1]  # [C, H, W, 1]
    renders = images[0][0] if len(images) == 1 else torch.cat([image for image, _ in images], dim=-1)
    if inputs.renders_expected_depth:
        renders = _ExpectDepth.apply(renders, alphas)
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


def _plain(tensor: Tensor) -> Tensor:
    return tensor.to(device="cpu", dtype=torch.float32).contiguous()


def _channels(inputs: RasterInputs, depths: Tensor) -> Tensor:
    """Return the channels [C, N, D'] that the render mode composites."""
    if not inputs.renders_colors:
        return depths[..., None]
    colors = _plain(inputs.colors).expand(*depths.shape, -1)
    return torch.cat([colors, depths[..., None]], dim=-1) if inputs.renders_depth else colors


def _channels_behind(inputs: RasterInputs, channels: Tensor) -> Tensor:
    """Return the backgrounds of all channels [C, D'], 0 for depth."""
    behind = torch.zeros(channels.shape[0], channels.shape[-1])
    if inputs.backgrounds is None or not inputs.renders_colors:
        return behind
    return torch.cat([_plain(inputs.backgrounds), behind[:, inputs.backgrounds.shape[-1] :]], dim=-1)


class _Project(torch.autograd.Function):
    """Gaussians to means2d [C, N, 2], ellipses [C, N, 4], depths [C, N], radii and tile rows [C, N, 2]."""

    @staticmethod
    def forward(
        ctx: Any, means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, cameras: np.ndarray
    ) -> tuple[Tensor, ...]:
        shape = (len(cameras), means.shape[0])
        floats = [torch.empty(*shape, *tail) for tail in ((2,), (4,), ())]
        integers = [torch.empty(*shape, 2, dtype=torch.int32) for _ in range(2)]
        reaches = (opacities * 255.0).log()
        run_shares(
            projection.project,
            shape[0] * shape[1] // SPLATS_PER_SHARE,
            *(tensor.numpy() for tensor in (means, quats, scales, reaches)),
            cameras,
            *(tensor.numpy() for tensor in floats + integers),
        )
        ctx.save_for_backward(means, quats, scales, opacities, integers[0])
        ctx.cameras = cameras
        ctx.mark_non_differentiable(*integers)
        ctx.set_materialize_grads(False)
        return (*floats, *integers)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *incoming: Tensor | None) -> tuple[Tensor | None, ...]:
        *gaussians, radii = ctx.saved_tensors
        shape = radii.shape[:2]
        given = [
            torch.zeros(*shape, *tail) if gradient is None else _plain(gradient)
            for gradient, tail in zip(incoming[:3], ((2,), (4,), ()), strict=True)
        ]
        gradients = [torch.zeros_like(tensor) for tensor in gaussians]
        run_shares(
            project_backward,
            shape[0] * shape[1] // SPLATS_PER_SHARE,
            tuple(tensor.numpy() for tensor in gaussians),
            ctx.cameras,
            radii.numpy(),
            *(tensor.numpy() for tensor in given),
            tuple(tensor.numpy() for tensor in gradients),
        )
        return (*gradients, None)


class _Composite(torch.autograd.Function):
    """Splats [C, N, ...] of up to four channels and backgrounds [C, D] to renders, alphas [C, H, W, ...]."""

    @staticmethod
    def forward(
        ctx: Any, means2d: Tensor, ellipses: Tensor, channels: Tensor, backgrounds: Tensor, tiling: Tiling
    ) -> tuple[Tensor, Tensor]:
        num_cameras, shown = backgrounds.shape
        records = _records(means2d, ellipses, channels)
        renders = torch.empty(num_cameras, *tiling.size, shown)
        alphas = torch.empty(num_cameras, *tiling.size, 1)
        tile_ends = np.empty(len(tiling.tile_starts) - 1, np.int64)
        shares = len(tile_ends) // TILES_PER_SHARE
        run_shares(
            tile_kernels.composite_tiles,
            shares,
            tiling.tile_starts,
            tile_ends,
            tiling.splats,
            records,
            backgrounds.contiguous().numpy(),
            renders.numpy(),
            alphas.numpy(),
            _scratch(shares, records, 1),
        )
        ctx.save_for_backward(renders, alphas)
        ctx.tiling, ctx.tile_ends, ctx.records, ctx.shape = tiling, tile_ends, records, channels.shape
        return renders, alphas

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_renders: Tensor, g_alphas: Tensor) -> tuple[Tensor | None, ...]:
        tiling, records = ctx.tiling, ctx.records
        renders, alphas = ctx.saved_tensors
        g_backgrounds = None
        if ctx.needs_input_grad[3]:
            g_backgrounds = (g_renders * (1.0 - alphas)).sum((1, 2))  # [C, D]
        if not any(ctx.needs_input_grad[:3]):
            return None, None, None, g_backgrounds, None
        g_slots = np.empty((len(tiling.slots), records.shape[1]), np.float32)
        shares = len(ctx.tile_ends) // TILES_PER_SHARE
        run_shares(
            tile_kernels.composite_tiles_backward,
            shares,
            tiling.tile_starts,
            ctx.tile_ends,
            tiling.splats,
            tiling.slots,
            records,
            (renders.numpy(), alphas.numpy()),
            (_plain(g_renders).numpy(), _plain(g_alphas).numpy()),
            g_slots,
            _scratch(shares, records, 2),
        )
        widths = (2, 4, records.shape[1] - splat_intrinsics.CHANNELS)
        g_means2d, g_ellipses, g_channels = (torch.empty(*ctx.shape[:2], width) for width in widths)
        run_shares(
            tile_kernels.sum_slots,
            len(records) // SPLATS_PER_SHARE,
            tiling.slot_starts,
            g_slots,
            *(gradient.flatten(0, 1).numpy() for gradient in (g_means2d, g_ellipses, g_channels)),
        )
        return g_means2d, g_ellipses, g_channels[..., : ctx.shape[2]], g_backgrounds, None


class _ExpectDepth(torch.autograd.Function):
    """Divide the last channel of renders [C, H, W, D'] by alphas [C, H, W, 1], touching no other channel."""

    @staticmethod
    def forward(ctx: Any, renders: Tensor, alphas: Tensor) -> Tensor:
        expected = renders.clone()
        expected[..., -1:] /= alphas.clamp(min=MIN_DIVISOR)
        ctx.save_for_backward(expected, alphas)
        return expected

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_expected: Tensor) -> tuple[Tensor, Tensor]:
        expected, alphas = ctx.saved_tensors
        g_renders = g_expected.clone(memory_format=torch.contiguous_format)
        g_renders[..., -1:] /= alphas.clamp(min=MIN_DIVISOR)
        # d (depth / alpha) / d alpha = -(depth / alpha) / alpha; where alpha is clamped there is no depth.
        return g_renders, -g_renders[..., -1:] * expected[..., -1:]


def _records(means2d: Tensor, ellipses: Tensor, channels: Tensor) -> np.ndarray:
    """Return what compositing reads of each splat [C * N, 6 + channels]; missing channels are 0."""
    start, shown = splat_intrinsics.CHANNELS, channels.shape[-1]
    width = start + max(shown, tile_kernels.MIN_CHANNELS)
    records = np.empty((*means2d.shape[:2], width), np.float32)
    records[..., splat_intrinsics.MEAN_X : splat_intrinsics.PRECISION_X] = means2d.numpy()
    records[..., splat_intrinsics.PRECISION_X : start] = ellipses.numpy()
    records[..., start : start + shown] = channels.numpy()
    records[..., start + shown :] = 0.0
    return records.reshape(-1, width)


def _scratch(shares: int, records: np.ndarray, extra: int) -> np.ndarray:
    """Return a tile's vectors for every share; torch aligns them to cache lines, which numpy does not."""
    vectors = records.shape[1] - splat_intrinsics.CHANNELS + extra
    return torch.empty(max(1, shares), splat_intrinsics.BLOCKS, vectors, WIDTH).numpy()
