"""The reference rasterizer: plain torch operations, any device, float32 and float64, gradients by autograd.

It states what the faster backends are held to, and has the meaning of ``gsplat.rasterization`` with
``packed=False``. Two stages: every visible Gaussian is projected to a 2D splat, then each tile of 16x16
pixels blends the splats that touch it from front to back. A tile's arithmetic is done again in the backward
pass instead of being kept, so memory follows the size of one step and not the number of splats.

Cameras are OpenCV, pixels have their centres at +0.5, depth is camera z.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..geometry import quats_to_rotations

TILE_SIZE = 16  # pixels
# The float32 values, in float64 too: two splats at the greatest alpha leave (1 - MAX_ALPHA)^2, which is just
# below the least transmittance with the rounded numbers and would be just above it with float64 ones.
MIN_ALPHA = float(torch.tensor(1.0 / 255.0, dtype=torch.float32))
MAX_ALPHA = float(torch.tensor(0.99, dtype=torch.float32))
MIN_TRANSMITTANCE = float(torch.tensor(1e-4, dtype=torch.float32))
MAX_EXTENT = 3.33  # standard deviations
FAR_PLANE = 1e10
MAX_RADIUS = 2.0**30  # pixels; keeps int32 from overflowing
FOV_MARGIN = 0.3  # of the tangent of half the field of view

_SPLATS_PER_STEP = 256
_PAIRS_PER_STEP = {"cpu": 2**18}  # pixel-splat pairs, about 40 bytes each in the backward pass; by timing
_PAIRS_PER_STEP_ELSEWHERE = 2**23


class _Projection(NamedTuple):
    """M Gaussians as their cameras see them."""

    means2d: Tensor  # [M, 2] pixels
    covs2d: Tensor  # [M, 3] xx, xy, yy of the blurred covariance, square pixels
    depths: Tensor  # [M] camera z


class _Pairs(NamedTuple):
    """The M visible (camera, Gaussian) pairs, by camera and then by Gaussian."""

    camera_ids: Tensor  # [M]
    gaussian_ids: Tensor  # [M]
    radii: Tensor  # [M, 2] whole pixels, as floats


def rasterize(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    backgrounds: Tensor | None = None,
    near_plane: float = 0.01,
    eps2d: float = 0.3,
    render_mode: str = "RGB",
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Render one set of Gaussians into C cameras; arguments are not checked, see ``rendering.rasterize``.

    Args:
        means: [N, 3] centers, world units.
        quats: [N, 4] wxyz, any length but zero.
        scales: [N, 3] standard deviations along the Gaussian's axes, world units.
        opacities: [N] in 0..1.
        colors: [N, D] or [C, N, D].
        viewmats: [C, 4, 4] world-to-camera.
        Ks: [C, 3, 3] intrinsics, pixels.
        width: Image width, pixels.
        height: Image height, pixels.
        backgrounds: [C, D] color behind everything; depth channels have none.
        near_plane: Least camera z that is drawn.
        eps2d: Variance added along both image axes, square pixels.
        render_mode: "RGB", "D", "ED", "RGB+D" or "RGB+ED"; depth is the last channel.

    Returns:
        renders [C, H, W, D'], alphas [C, H, W, 1] and meta: ``means2d`` [C, N, 2], ``radii`` [C, N, 2] int32,
        ``depths`` [C, N] (zeros where culled), ``width``, ``height``, ``n_cameras``, ``gaussian_ids``.
    """
    num_cameras, num_gaussians, size = viewmats.shape[0], means.shape[0], (width, height)
    gaussians, cameras = (means, quats, scales), (viewmats, Ks)
    with torch.no_grad():
        pairs = _visible_pairs(gaussians, opacities, cameras, size, near_plane, eps2d)
    pair_ids = pairs.camera_ids * num_gaussians + pairs.gaussian_ids  # [M] into C * N
    projection = _project(gaussians, cameras, pairs.camera_ids, pairs.gaussian_ids, size, eps2d)

    # The image must depend on means2d as [C, N, 2]: it goes out to all pairs and is gathered back.
    means2d = _scatter(projection.means2d, pair_ids, num_cameras, num_gaussians)
    splats = torch.cat(
        [
            means2d.flatten(0, 1).index_select(0, pair_ids),
            _conics(projection.covs2d),
            opacities.index_select(0, pairs.gaussian_ids)[:, None],
            _channels(colors, projection.depths, pair_ids, (num_cameras, num_gaussians), render_mode),
            torch.ones_like(projection.depths)[:, None],  # what this channel sums to is the alpha
        ],
        dim=-1,
    )  # [M, 6 + D' + 1]
    sums = _blend(splats, pairs, projection.depths.detach(), num_cameras, size)  # [C, H, W, D' + 1]
    meta: dict[str, Any] = {
        "means2d": means2d,
        "radii": _scatter(pairs.radii.to(torch.int32), pair_ids, num_cameras, num_gaussians),
        "depths": _scatter(projection.depths, pair_ids, num_cameras, num_gaussians),
        "width": width,
        "height": height,
        "n_cameras": num_cameras,
        "gaussian_ids": None,
    }
    return _finish(sums[..., :-1], sums[..., -1:], backgrounds, render_mode), sums[..., -1:], meta


def _channels(
    colors: Tensor, depths: Tensor, pair_ids: Tensor, shape: tuple[int, int], render_mode: str
) -> Tensor:
    """Return what a render mode blends, [M, D'], for pairs out of ``shape``, cameras by Gaussians."""
    if render_mode in ("D", "ED"):
        return depths[:, None]
    selected = colors.expand(*shape, colors.shape[-1]).flatten(0, 1).index_select(0, pair_ids)  # [M, D]
    return selected if render_mode == "RGB" else torch.cat([selected, depths[:, None]], dim=-1)


def _scatter(values: Tensor, pair_ids: Tensor, num_cameras: int, num_gaussians: int) -> Tensor:
    """Return values [M, ...] of visible pairs as [C, N, ...], zero where culled."""
    everywhere = values.new_zeros(num_cameras * num_gaussians, *values.shape[1:])
    return everywhere.index_copy(0, pair_ids, values).reshape(num_cameras, num_gaussians, *values.shape[1:])


def _finish(renders: Tensor, alphas: Tensor, backgrounds: Tensor | None, render_mode: str) -> Tensor:
    """Put the background behind the colors, and divide depth by alpha where expected depth is asked for."""
    has_depth = render_mode != "RGB"
    num_colors = renders.shape[-1] - has_depth
    rgb, depth = renders[..., :num_colors], renders[..., num_colors:]
    if backgrounds is not None and num_colors:
        rgb = rgb + (1 - alphas) * backgrounds[:, None, None, :]
    if render_mode.endswith("ED"):
        depth = depth / alphas.clamp(min=1e-10)
    return torch.cat([rgb, depth], dim=-1)


def _project(
    gaussians: tuple[Tensor, Tensor, Tensor],
    cameras: tuple[Tensor, Tensor],
    camera_ids: Tensor,
    gaussian_ids: Tensor,
    size: tuple[int, int],
    eps2d: float,
) -> _Projection:
    """Project M pairs: the center exactly, the covariance to first order around it (EWA splatting)."""
    (means, quats, scales), (viewmats, Ks) = gaussians, cameras
    views = viewmats.index_select(0, camera_ids)  # [M, 4, 4]
    intrinsics = Ks.index_select(0, camera_ids)  # [M, 3, 3]
    focals = torch.stack([intrinsics[:, 0, 0], intrinsics[:, 1, 1]], dim=-1)  # [M, 2]
    centers = intrinsics[:, :2, 2]  # [M, 2]
    view_rotations = views[:, :3, :3]
    means_camera = (view_rotations @ means.index_select(0, gaussian_ids)[..., None])[..., 0] + views[:, :3, 3]
    depths = means_camera[:, 2]
    slopes = means_camera[:, :2] / depths[:, None]  # [M, 2] x / z and y / z
    means2d = focals * slopes + centers

    # Far outside the image the linearization is useless: its slopes stop a little beyond the border.
    sizes = means.new_tensor(size)
    margins = FOV_MARGIN * 0.5 * sizes / focals
    slopes = slopes.clamp(min=-(centers / focals) - margins, max=(sizes - centers) / focals + margins)
    per_depth = focals / depths[:, None]
    zeros = torch.zeros_like(depths)
    jacobians = torch.stack(
        [
            torch.stack([per_depth[:, 0], zeros, -per_depth[:, 0] * slopes[:, 0]], dim=-1),
            torch.stack([zeros, per_depth[:, 1], -per_depth[:, 1] * slopes[:, 1]], dim=-1),
        ],
        dim=-2,
    )  # [M, 2, 3] of means2d by means_camera
    # Computed for selected Gaussians only: zero gradients of the others must not meet their infinities.
    rotations = quats_to_rotations(quats.index_select(0, gaussian_ids))  # [M, 3, 3]
    axes = rotations * scales.index_select(0, gaussian_ids)[:, None]  # columns are the Gaussian's axes
    axes2d = jacobians @ view_rotations @ axes  # [M, 2, 3]
    covs2d = torch.stack(
        [
            axes2d[:, 0].square().sum(-1) + eps2d,
            (axes2d[:, 0] * axes2d[:, 1]).sum(-1),
            axes2d[:, 1].square().sum(-1) + eps2d,
        ],
        dim=-1,
    )
    return _Projection(means2d, covs2d, depths)


def _determinants(covs2d: Tensor) -> Tensor:
    """Return the determinants [M] of 2x2 covariances given as xx, xy, yy [M, 3]."""
    return covs2d[:, 0] * covs2d[:, 2] - covs2d[:, 1].square()


def _conics(covs2d: Tensor) -> Tensor:
    """Return the inverses of covariances, both as xx, xy, yy [M, 3]."""
    xx, xy, yy = covs2d.unbind(-1)
    return torch.stack([yy, -xy, xx], dim=-1) / _determinants(covs2d)[:, None]


def _visible_pairs(
    gaussians: tuple[Tensor, Tensor, Tensor],
    opacities: Tensor,
    cameras: tuple[Tensor, Tensor],
    size: tuple[int, int],
    near_plane: float,
    eps2d: float,
) -> _Pairs:
    """Find the pairs that can change a pixel, and how far from their centers they do."""
    means, quats, _ = gaussians
    num_cameras, num_gaussians = cameras[0].shape[0], means.shape[0]
    camera_ids = torch.arange(num_cameras, device=means.device).repeat_interleave(num_gaussians)
    gaussian_ids = torch.arange(num_gaussians, device=means.device).repeat(num_cameras)
    means2d, covs2d, depths = _project(gaussians, cameras, camera_ids, gaussian_ids, size, eps2d)
    # alpha = o exp(-r^2 / 2) falls to 1 / 255 at r = sqrt(2 ln(255 o)), which is no number for o < 1 / 255
    extents = (2 * (opacities * 255).log()).sqrt().clamp(max=MAX_EXTENT)
    drawable = (opacities >= MIN_ALPHA) & opacities.isfinite() & (quats.norm(dim=-1) > 0)  # [N]
    deviations = covs2d[:, ::2].sqrt()
    radii = (extents.index_select(0, gaussian_ids)[:, None] * deviations).ceil().clamp(max=MAX_RADIUS)
    determinants = _determinants(covs2d)
    visible = (
        drawable.index_select(0, gaussian_ids)
        & (depths >= near_plane)
        & (depths <= FAR_PLANE)
        & (determinants > 0)
        & determinants.isfinite()
        & (radii > 0).all(-1)
        & (means2d + radii > 0).all(-1)
        & (means2d - radii < means.new_tensor(size)).all(-1)
    )
    return _Pairs(camera_ids[visible], gaussian_ids[visible], radii[visible])


class _Bins(NamedTuple):
    """Which splats touch a tile, front to back: ``splat_ids[starts[tile] : starts[tile] + counts[tile]]``."""

    splat_ids: Tensor  # [I]
    starts: Tensor  # [tiles]
    counts: Tensor  # [tiles]


def _blend(splats: Tensor, pairs: _Pairs, depths: Tensor, num_cameras: int, size: tuple[int, int]) -> Tensor:
    """Return the blended sums of the splats' channels, [C, H, W, channels]."""
    width, height = size
    tiles_x, tiles_y = math.ceil(width / TILE_SIZE), math.ceil(height / TILE_SIZE)
    num_tiles, num_pixels = num_cameras * tiles_y * tiles_x, TILE_SIZE * TILE_SIZE
    with torch.no_grad():
        bins = _bin(splats[:, :2].detach(), pairs, depths, (tiles_x, tiles_y), num_tiles)
    line = torch.arange(TILE_SIZE, device=splats.device, dtype=splats.dtype) + 0.5
    offsets = torch.cartesian_prod(line, line).flip(-1)  # [P, 2] x, y of the pixels of a tile, row by row

    tile_ids = [bins.counts.new_empty(0)]
    # an empty slice first: with no tile to draw the images still depend on the splats
    sums = [splats[:0, None, 6:].expand(0, num_pixels, -1)]
    for group in _tile_groups(bins.counts):
        corners = torch.stack([group % tiles_x, group // tiles_x % tiles_y], dim=-1) * TILE_SIZE  # [G, 2]
        tile_ids.append(group)
        sums.append(_blend_tiles(splats, bins, group, corners[:, None, :] + offsets))
    num_channels = splats.shape[-1] - 6
    tiles = splats.new_zeros(num_tiles, num_pixels, num_channels)
    tiles = tiles.index_copy(0, torch.cat(tile_ids), torch.cat(sums))  # [tiles, P, channels]
    tiles = tiles.reshape(num_cameras, tiles_y, tiles_x, TILE_SIZE, TILE_SIZE, num_channels)
    images = tiles.transpose(2, 3).reshape(num_cameras, tiles_y * TILE_SIZE, tiles_x * TILE_SIZE, -1)
    return images[:, :height, :width]


def _bin(means2d: Tensor, pairs: _Pairs, depths: Tensor, grid: tuple[int, int], num_tiles: int) -> _Bins:
    """Sort splats by depth, equal depths by index, and deal them out to the tiles that their radii reach."""
    limits = means2d.new_tensor(grid)
    first = ((means2d - pairs.radii) / TILE_SIZE).floor().clamp(min=0).minimum(limits).long()  # [M, 2]
    last = ((means2d + pairs.radii) / TILE_SIZE).ceil().clamp(min=0).minimum(limits).long()  # exclusive
    spans = last - first
    order = depths.argsort(stable=True)
    repeats = spans.prod(-1)[order]
    splat_ids = order.repeat_interleave(repeats)  # [I], depth by depth
    ranks = torch.arange(splat_ids.shape[0], device=order.device)
    ranks = ranks - (repeats.cumsum(0) - repeats).repeat_interleave(repeats)  # [I] which of its splat's tiles
    columns = spans[splat_ids, 0]
    tile_x, tile_y = first[splat_ids, 0] + ranks % columns, first[splat_ids, 1] + ranks // columns
    tile_ids = (pairs.camera_ids[splat_ids] * grid[1] + tile_y) * grid[0] + tile_x
    counts = tile_ids.bincount(minlength=num_tiles)
    return _Bins(splat_ids[tile_ids.argsort(stable=True)], counts.cumsum(0) - counts, counts)


def _tile_groups(counts: Tensor) -> Iterator[Tensor]:
    """Yield the ids of tiles that have splats, fullest first, as many at a time as one step can hold."""
    ordered, tile_ids = counts.sort(descending=True, stable=True)
    ordered_counts = ordered.tolist()
    pairs_per_step = _PAIRS_PER_STEP.get(counts.device.type, _PAIRS_PER_STEP_ELSEWHERE)
    begin = 0
    while begin < len(ordered_counts) and ordered_counts[begin] > 0:
        pairs_per_tile = TILE_SIZE * TILE_SIZE * min(ordered_counts[begin], _SPLATS_PER_STEP)
        group = tile_ids[begin : begin + max(1, pairs_per_step // pairs_per_tile)]
        begin += len(group)
        yield group[counts[group] > 0]


def _blend_tiles(splats: Tensor, bins: _Bins, tiles: Tensor, pixels: Tensor) -> Tensor:
    """Blend G tiles front to back, a step of splats at a time until every pixel is opaque.

    Args:
        splats: [M, 6 + channels].
        bins: Splats by tile.
        tiles: [G] tile ids.
        pixels: [G, P, 2] pixel centers.

    Returns:
        [G, P, channels].
    """
    starts, counts = bins.starts[tiles], bins.counts[tiles]
    most = int(counts.max())
    transmittances = pixels.new_ones(pixels.shape[:2])
    sums = splats.new_zeros(*pixels.shape[:2], splats.shape[-1] - 6)
    for begin in range(0, most, _SPLATS_PER_STEP):
        ranks = torch.arange(begin, min(begin + _SPLATS_PER_STEP, most), device=tiles.device)  # [S]
        present = ranks < counts[:, None]  # [G, S]
        places = (starts[:, None] + ranks).clamp(max=bins.splat_ids.shape[0] - 1)
        step = (splats, bins.splat_ids[places], present, pixels, transmittances)
        step_sums, transmittances = _BlendStep.apply(*step)
        sums = sums + step_sums
        if not (transmittances > MIN_TRANSMITTANCE).any():
            break
    return sums


class _BlendStep(torch.autograd.Function):
    """:func:`_blend_step` with its arithmetic done again for the gradient instead of kept.

    What ``torch.utils.checkpoint`` does, without the seconds that its first call takes to import a compiler.
    """

    @staticmethod
    def forward(ctx: Any, *step: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(*step)
        return _blend_step(*step)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        splats, splat_ids, present, pixels, transmittances = ctx.saved_tensors
        leaves = (splats.detach().requires_grad_(), transmittances.detach().requires_grad_())
        with torch.enable_grad():
            outputs = _blend_step(leaves[0], splat_ids, present, pixels, leaves[1])
        to_splats, to_transmittances = torch.autograd.grad(outputs, leaves, gradients)
        return to_splats, None, None, None, to_transmittances


def _blend_step(
    splats: Tensor, splat_ids: Tensor, present: Tensor, pixels: Tensor, transmittances: Tensor
) -> tuple[Tensor, Tensor]:
    """Blend S splats over P pixels of G tiles: sum T_i alpha_i c_i, T_i the product of 1 - alpha_j for j < i.

    Args:
        splats: [M, 6 + channels] mean x, y; conic xx, xy, yy; opacity; channels.
        splat_ids: [G, S] front to back.
        present: [G, S] bool, false for padding.
        pixels: [G, P, 2] pixel centers.
        transmittances: [G, P] before the step.

    Returns:
        The step's sums [G, P, channels], and the transmittances [G, P] after it, where a pixel is done too.
    """
    gathered = splats.index_select(0, splat_ids.flatten()).reshape(*splat_ids.shape, -1)  # [G, S, 6 + D' + 1]
    mean_x, mean_y, conic_xx, conic_xy, conic_yy, opacities = gathered[:, None, :, :6].unbind(-1)  # [G, 1, S]
    dx, dy = mean_x - pixels[..., :1], mean_y - pixels[..., 1:]  # [G, P, S]
    sigmas = 0.5 * (conic_xx * dx * dx + conic_yy * dy * dy) + conic_xy * dx * dy
    alphas = (opacities * torch.exp(-sigmas)).clamp(max=MAX_ALPHA)
    counted = present[:, None, :] & (sigmas >= 0) & (alphas >= MIN_ALPHA)
    alphas = torch.where(counted, alphas, 0.0)
    chain = torch.cat([transmittances[..., None], 1 - alphas], dim=-1).cumprod(-1)  # [G, P, 1 + S]
    before, after = chain[..., :-1], chain[..., 1:]
    # A pixel is done before the splat that would leave it at most MIN_TRANSMITTANCE; ``after`` never grows.
    weights = torch.where(after > MIN_TRANSMITTANCE, before * alphas, 0.0)
    return weights @ gathered[..., 6:], chain[..., -1]
