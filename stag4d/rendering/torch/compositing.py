"""Alpha compositing of sorted splats over the pixels of image tiles, with recomputation in the backward pass.

A splat is a row [6 + channels]: mean x, y in pixels; conic xx, xy, yy; opacity; channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..inputs import RasterInputs
from .constants import MAX_ALPHA, MIN_ALPHA, MIN_TRANSMITTANCE, TILE_SIZE
from .tiling import Tiling, tile_grid

FIRST_CHANNEL = 6  # column
_SPLATS_PER_STEP = 256
_PAIRS_PER_STEP = {"cpu": 2**18}  # pixel-splat pairs, about 40 bytes each in the backward pass; by timing
_DEFAULT_PAIRS_PER_STEP = 2**23  # on other devices


def composite(inputs: RasterInputs, splats: Tensor, tiling: Tiling) -> Tensor:
    """Composite all tiles of all cameras.

    Args:
        inputs: Image size and number of cameras.
        splats: [M, 6 + channels].
        tiling: The splats of each tile, front to back.

    Returns:
        [C, H, W, channels], the sums of each channel weighted by alpha and transmittance.
    """
    tiles_x, tiles_y = tile_grid(inputs)
    num_tiles, num_pixels = len(tiling.counts), TILE_SIZE * TILE_SIZE
    line = torch.arange(TILE_SIZE, device=splats.device, dtype=splats.dtype) + 0.5
    offsets = torch.cartesian_prod(line, line).flip(-1)  # [P, 2] x, y of the pixels of a tile, row by row

    tile_ids = [tiling.counts.new_empty(0)]
    # Begin with an empty slice: without any intersection the renders must still depend on the splats.
    sums = [splats[:0, None, FIRST_CHANNEL:].expand(0, num_pixels, -1)]
    for group in _tile_groups(tiling.counts):
        corners = torch.stack([group % tiles_x, group // tiles_x % tiles_y], dim=-1) * TILE_SIZE  # [G, 2]
        tile_ids.append(group)
        sums.append(_composite_tiles(splats, tiling, group, corners[:, None, :] + offsets))
    num_channels = splats.shape[-1] - FIRST_CHANNEL
    tiles = splats.new_zeros(num_tiles, num_pixels, num_channels)
    tiles = tiles.index_copy(0, torch.cat(tile_ids), torch.cat(sums))  # [T, P, channels]
    tiles = tiles.reshape(inputs.num_cameras, tiles_y, tiles_x, TILE_SIZE, TILE_SIZE, num_channels)
    images = tiles.transpose(2, 3).reshape(inputs.num_cameras, tiles_y * TILE_SIZE, tiles_x * TILE_SIZE, -1)
    return images[:, : inputs.height, : inputs.width]


def _tile_groups(counts: Tensor) -> Iterator[Tensor]:
    """Yield the ids [G] of tiles with splats, those with most first, as many at a time as fit in a step."""
    ordered, tile_ids = counts.sort(descending=True, stable=True)
    ordered_counts = ordered.tolist()
    pairs_per_step = _PAIRS_PER_STEP.get(counts.device.type, _DEFAULT_PAIRS_PER_STEP)
    begin = 0
    while begin < len(ordered_counts) and ordered_counts[begin] > 0:
        pairs_per_tile = TILE_SIZE * TILE_SIZE * min(ordered_counts[begin], _SPLATS_PER_STEP)
        group = tile_ids[begin : begin + max(1, pairs_per_step // pairs_per_tile)]
        begin += len(group)
        yield group[counts[group] > 0]


def _composite_tiles(splats: Tensor, tiling: Tiling, tile_ids: Tensor, pixels: Tensor) -> Tensor:
    """Composite G tiles front to back, a step of splats at a time, until every pixel has terminated.

    Args:
        splats: [M, 6 + channels].
        tiling: The splats of each tile.
        tile_ids: [G].
        pixels: [G, P, 2] pixel centers.

    Returns:
        [G, P, channels].
    """
    offsets, counts = tiling.offsets[tile_ids], tiling.counts[tile_ids]
    max_count = int(counts.max())
    transmittances = pixels.new_ones(pixels.shape[:2])
    sums = splats.new_zeros(*pixels.shape[:2], splats.shape[-1] - FIRST_CHANNEL)
    for begin in range(0, max_count, _SPLATS_PER_STEP):
        ranks = torch.arange(begin, min(begin + _SPLATS_PER_STEP, max_count), device=tile_ids.device)  # [S]
        present = ranks < counts[:, None]  # [G, S]
        positions = (offsets[:, None] + ranks).clamp(max=tiling.splat_ids.shape[0] - 1)
        step = (splats, tiling.splat_ids[positions], present, pixels, transmittances)
        step_sums, transmittances = _CompositeStep.apply(*step)
        sums = sums + step_sums
        if not (transmittances > MIN_TRANSMITTANCE).any():
            break
    return sums


class _CompositeStep(torch.autograd.Function):
    """:func:`_composite_step` whose intermediate results are recomputed in the backward pass.

    Like ``torch.utils.checkpoint``, without the seconds that its first call takes to import a compiler.
    """

    @staticmethod
    def forward(ctx: Any, *step: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(*step)
        return _composite_step(*step)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *g_outputs: Tensor) -> tuple[Tensor | None, ...]:
        splats, splat_ids, present, pixels, transmittances = ctx.saved_tensors
        leaves = (splats.detach().requires_grad_(), transmittances.detach().requires_grad_())
        with torch.enable_grad():
            outputs = _composite_step(leaves[0], splat_ids, present, pixels, leaves[1])
        g_splats, g_transmittances = torch.autograd.grad(outputs, leaves, g_outputs)
        return g_splats, None, None, None, g_transmittances


def _composite_step(
    splats: Tensor, splat_ids: Tensor, present: Tensor, pixels: Tensor, transmittances: Tensor
) -> tuple[Tensor, Tensor]:
    """Composite S splats over P pixels of G tiles: sum_i T_i alpha_i c_i, T_i = prod_{j < i} (1 - alpha_j).

    Args:
        splats: [M, 6 + channels].
        splat_ids: [G, S] front to back.
        present: [G, S] bool, false for padding.
        pixels: [G, P, 2] pixel centers.
        transmittances: [G, P] before the step.

    Returns:
        The sums of these splats [G, P, channels], and the transmittances [G, P] after all of them, also of
        pixels that have terminated.
    """
    gathered = splats.index_select(0, splat_ids.flatten()).reshape(*splat_ids.shape, -1)  # [G, S, 6 + D' + 1]
    columns = gathered[:, None, :, :FIRST_CHANNEL].unbind(-1)
    mean_x, mean_y, conic_xx, conic_xy, conic_yy, opacities = columns  # [G, 1, S]
    dx, dy = mean_x - pixels[..., :1], mean_y - pixels[..., 1:]  # [G, P, S]
    sigmas = 0.5 * (conic_xx * dx * dx + conic_yy * dy * dy) + conic_xy * dx * dy
    alphas = (opacities * torch.exp(-sigmas)).clamp(max=MAX_ALPHA)
    contributes = present[:, None, :] & (sigmas >= 0) & (alphas >= MIN_ALPHA)
    alphas = torch.where(contributes, alphas, 0.0)
    products = torch.cat([transmittances[..., None], 1 - alphas], dim=-1).cumprod(-1)  # [G, P, 1 + S]
    before, after = products[..., :-1], products[..., 1:]
    # A pixel terminates before the splat that would leave at most MIN_TRANSMITTANCE; ``after`` never grows.
    weights = torch.where(after > MIN_TRANSMITTANCE, before * alphas, 0.0)
    return weights @ gathered[..., FIRST_CHANNEL:], products[..., -1]
