"""The kernels as autograd functions: ``Project`` Gaussians to splats, ``Composite`` splats to images.

They are two so that the 2D means are a node of the graph and have a gradient. The tiling has none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ...kernels.threads import run_chunks
from .compositing import FIRST_CHANNEL, MEAN_X, MIN_CHANNELS, NUM_BLOCKS, PRECISION_X, composite_tiles
from .compositing_backward import composite_tiles_backward, sum_gradients
from .layout import Splats, Tiling
from .projection import project
from .projection_backward import project_backward
from .simd import WIDTH
from .tiling import SPLATS_PER_CHUNK

TILES_PER_CHUNK = 8  # fewer are not worth another thread
MIN_DIVISOR = 1e-10  # of expected depth


def as_float32(tensor: Tensor) -> Tensor:
    """Return a contiguous float32 tensor on the CPU, which the kernels can read."""
    return tensor.to(device="cpu", dtype=torch.float32).contiguous()


class Project(torch.autograd.Function):
    """From Gaussians and cameras to the fields of ``Splats`` [C, N, ...]; the first three have gradients."""

    @staticmethod
    def forward(
        ctx: Any, means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, cameras: np.ndarray
    ) -> tuple[Tensor, ...]:
        """Project means [N, 3], quats [N, 4], scales [N, 3] and opacities [N] into packed cameras."""
        shape = (len(cameras), means.shape[0])
        floats = [torch.empty(*shape, *tail) for tail in ((2,), (4,), ())]
        integers = [torch.empty(*shape, 2, dtype=torch.int32) for _ in range(2)]
        max_sigmas = (opacities * 255.0).log()
        run_chunks(
            project,
            shape[0] * shape[1] // SPLATS_PER_CHUNK,
            tuple(tensor.numpy() for tensor in (means, quats, scales, max_sigmas)),
            cameras,
            Splats(*(tensor.numpy() for tensor in floats + integers)),
        )
        ctx.save_for_backward(means, quats, scales, opacities, integers[0])
        ctx.cameras = cameras
        ctx.mark_non_differentiable(*integers)
        ctx.set_materialize_grads(False)
        return (*floats, *integers)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *g_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the gradients to the Gaussians."""
        *gaussians, radii = ctx.saved_tensors
        shape = radii.shape[:2]
        g_splats = [
            torch.zeros(*shape, *tail) if gradient is None else as_float32(gradient)
            for gradient, tail in zip(g_outputs[:3], ((2,), (4,), ()), strict=True)
        ]
        g_gaussians = [torch.zeros_like(tensor) for tensor in gaussians]
        run_chunks(
            project_backward,
            shape[0] * shape[1] // SPLATS_PER_CHUNK,
            tuple(tensor.numpy() for tensor in gaussians),
            ctx.cameras,
            radii.numpy(),
            tuple(tensor.numpy() for tensor in g_splats),
            tuple(tensor.numpy() for tensor in g_gaussians),
        )
        return (*g_gaussians, None)


class Composite(torch.autograd.Function):
    """From splats of up to four channels, backgrounds and a tiling to renders and alphas."""

    @staticmethod
    def forward(
        ctx: Any, means2d: Tensor, ellipses: Tensor, channels: Tensor, backgrounds: Tensor, tiling: Tiling
    ) -> tuple[Tensor, Tensor]:
        """Composite means2d [C, N, 2], ellipses [C, N, 4], channels [C, N, D] over backgrounds [C, D]."""
        num_cameras, num_channels = backgrounds.shape
        attributes = _pack_attributes(means2d, ellipses, channels)
        renders = torch.empty(num_cameras, *tiling.size, num_channels)
        alphas = torch.empty(num_cameras, *tiling.size, 1)
        tile_ends = np.empty(len(tiling.tile_offsets) - 1, np.int64)
        max_chunks = len(tile_ends) // TILES_PER_CHUNK
        run_chunks(
            composite_tiles,
            max_chunks,
            tiling,
            attributes,
            backgrounds.contiguous().numpy(),
            (renders.numpy(), alphas.numpy()),
            tile_ends,
            _workspace(max_chunks, attributes, 1),
        )
        ctx.save_for_backward(renders, alphas)
        ctx.tiling, ctx.tile_ends, ctx.attributes, ctx.shape = tiling, tile_ends, attributes, channels.shape
        return renders, alphas

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_renders: Tensor, g_alphas: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients to the splats and backgrounds from those to renders and alphas."""
        tiling, attributes = ctx.tiling, ctx.attributes
        renders, alphas = ctx.saved_tensors
        g_backgrounds = None
        if ctx.needs_input_grad[3]:
            g_backgrounds = (g_renders * (1.0 - alphas)).sum((1, 2))  # [C, D]
        if not any(ctx.needs_input_grad[:3]):
            return None, None, None, g_backgrounds, None
        g_attributes = np.empty((len(tiling.splat_ids), attributes.shape[1]), np.float32)
        max_chunks = len(ctx.tile_ends) // TILES_PER_CHUNK
        run_chunks(
            composite_tiles_backward,
            max_chunks,
            tiling,
            ctx.tile_ends,
            attributes,
            (renders.numpy(), alphas.numpy()),
            (as_float32(g_renders).numpy(), as_float32(g_alphas).numpy()),
            g_attributes,
            _workspace(max_chunks, attributes, 2),
        )
        widths = (2, 4, attributes.shape[1] - FIRST_CHANNEL)
        g_means2d, g_ellipses, g_channels = (torch.empty(*ctx.shape[:2], width) for width in widths)
        run_chunks(
            sum_gradients,
            len(attributes) // SPLATS_PER_CHUNK,
            tiling.splat_offsets,
            g_attributes,
            tuple(gradient.flatten(0, 1).numpy() for gradient in (g_means2d, g_ellipses, g_channels)),
        )
        return g_means2d, g_ellipses, g_channels[..., : ctx.shape[2]], g_backgrounds, None


class DivideDepthByAlpha(torch.autograd.Function):
    """From accumulated to expected depth, without splitting the channels."""

    @staticmethod
    def forward(ctx: Any, renders: Tensor, alphas: Tensor) -> Tensor:
        """Divide the last channel of renders [C, H, W, D'] by alphas [C, H, W, 1]."""
        expected = renders.clone()
        expected[..., -1:] /= alphas.clamp(min=MIN_DIVISOR)
        ctx.save_for_backward(expected, alphas)
        return expected

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_expected: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients to renders and alphas."""
        expected, alphas = ctx.saved_tensors
        g_renders = g_expected.clone(memory_format=torch.contiguous_format)
        g_renders[..., -1:] /= alphas.clamp(min=MIN_DIVISOR)
        # d (depth / alpha) / d alpha = -(depth / alpha) / alpha; where alpha is clamped there is no depth.
        return g_renders, -g_renders[..., -1:] * expected[..., -1:]


def _pack_attributes(means2d: Tensor, ellipses: Tensor, channels: Tensor) -> np.ndarray:
    """Return the attributes [C * N, FIRST_CHANNEL + channels] of splats, padded to MIN_CHANNELS with 0."""
    num_channels = channels.shape[-1]
    width = FIRST_CHANNEL + max(num_channels, MIN_CHANNELS)
    attributes = np.empty((*means2d.shape[:2], width), np.float32)
    attributes[..., MEAN_X:PRECISION_X] = means2d.numpy()
    attributes[..., PRECISION_X:FIRST_CHANNEL] = ellipses.numpy()
    attributes[..., FIRST_CHANNEL : FIRST_CHANNEL + num_channels] = channels.numpy()
    attributes[..., FIRST_CHANNEL + num_channels :] = 0.0
    return attributes.reshape(-1, width)


def _workspace(max_chunks: int, attributes: np.ndarray, num_others: int) -> np.ndarray:
    """Return the vectors of one tile per chunk; torch aligns them to cache lines, which numpy does not."""
    num_vectors = attributes.shape[1] - FIRST_CHANNEL + num_others
    return torch.empty(max(1, max_chunks), NUM_BLOCKS, num_vectors, WIDTH).numpy()
