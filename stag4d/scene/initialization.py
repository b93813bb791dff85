"""Initial canonical Gaussians: from the visual hull of one frame's views, in a ball, or at given points."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..types import Cameras
from .gaussians import SH_C0, Gaussians, logit

_HULL_RESOLUTION = 96  # voxels along the cube's edge; a voxel is about a pixel of a view of 128 pixels
_HULL_COVERAGE = 0.9  # fraction of a silhouette that the projected hull must cover to be consistent with it
_NEAREST = 1e-6  # camera z below which a point is behind the camera, world units
_SCALE_CHUNK = 1024  # points per block of the nearest-neighbor search


def gaussians_from_points(
    points: Tensor,
    colors: Tensor,
    generator: torch.Generator,
    *,
    opacity: float = 0.1,
    max_scale: float = 0.1,
) -> Gaussians:
    """Return isotropic Gaussians at given points, with the distance to the nearest neighbors as scale.

    Args:
        points: [N, 3], world units.
        colors: [N, 3] RGB in 0..1.
        generator: Random generator of the orientations.
        opacity: Initial opacity of every Gaussian (official: 0.1).
        max_scale: Upper limit of the standard deviation, world units.

    Returns:
        Gaussians without gradients, on the points' device.

    Raises:
        ValueError: if there are no points or one is not finite.
    """
    num_bad = int((~torch.isfinite(points)).any(dim=-1).sum())
    if len(points) == 0 or num_bad:
        raise ValueError(
            f"start: {len(points)} points, {num_bad} of them not finite; expected at least one, all finite."
        )
    log_scales = _neighbor_distances(points).clamp(1e-4, max_scale).log()[:, None].repeat(1, 3)  # [N, 3]
    quats = torch.randn(len(points), 4, generator=generator).to(points)
    return Gaussians(
        means=points.clone(),
        log_scales=log_scales,
        quats=F.normalize(quats, dim=-1),
        logit_opacities=logit(torch.full_like(points[:, 0], opacity)),
        sh0=((colors - 0.5) / SH_C0)[:, None].to(points),
    )


def random_ball(num_points: int, radius: float, generator: torch.Generator) -> Gaussians:
    """Return gray Gaussians, uniform in a ball around the origin (official: 10,000 in a radius of 0.5)."""
    directions = F.normalize(torch.randn(num_points, 3, generator=generator), dim=-1)
    radii = radius * torch.rand(num_points, 1, generator=generator) ** (1 / 3)  # volume grows as radius^3
    return gaussians_from_points(directions * radii, torch.full((num_points, 3), 0.5), generator)


def visual_hull(
    images: list[Tensor],
    alphas: list[Tensor],
    cameras: list[Cameras],
    num_points: int,
    bound: float,
    generator: torch.Generator,
) -> Gaussians:
    """Return Gaussians on the surface of the visual hull, with the colors of the views that face them.

    A voxel is kept if it projects into the silhouettes (alpha > 0.5) of all V views. Generated views may be
    inconsistent: if the projected hull covers less than 90 % of some silhouette, voxels that are outside of
    only one silhouette are kept too, and one silhouette may remain uncovered, as that view may be the wrong
    one; then two, and so on.

    Args:
        images: V straight-color images [H, W, 3]; sizes may differ.
        alphas: V alphas [H, W].
        cameras: V single cameras, each of its image's size.
        num_points: Number of Gaussians.
        bound: Half extent of the carved cube, world units.
        generator: Random generator of the positions and orientations.

    Returns:
        Gaussians without gradients.

    Raises:
        ValueError: if no voxel is kept, which means that the cameras do not fit the views.
    """
    axis = (torch.arange(_HULL_RESOLUTION) + 0.5) / _HULL_RESOLUTION * 2 * bound - bound
    voxels = torch.cartesian_prod(axis, axis, axis)  # [R^3, 3]
    num_inside = torch.zeros(len(voxels), dtype=torch.int32)  # silhouettes that a voxel projects into
    for alpha, camera in zip(alphas, cameras, strict=True):
        num_inside += sample_image(alpha[..., None], camera, voxels)[:, 0] > 0.5
    occupied = num_inside == len(cameras)
    for tolerated in range(len(cameras) - 1):  # a voxel stays inside of two silhouettes at least
        occupied = num_inside >= len(cameras) - tolerated
        coverages = _silhouette_coverages(occupied, voxels, alphas, cameras)
        if occupied.any() and sorted(coverages)[tolerated] >= _HULL_COVERAGE:
            break
    if not occupied.any():
        raise ValueError(
            "visual hull: no point in space projects into the silhouettes; check that the cameras are right."
        )
    # The surface: occupied voxels with an empty one among their 26 neighbors. Padding counts as empty, which
    # closes the surface where the cube cuts the hull.
    grid = occupied.reshape(1, 1, *[_HULL_RESOLUTION] * 3).float()
    eroded = -F.max_pool3d(F.pad(-grid, (1,) * 6), kernel_size=3, stride=1)
    surface = voxels[((grid - eroded)[0, 0] > 0).flatten()]  # [S, 3]
    chosen = torch.randint(len(surface), (num_points,), generator=generator)
    if num_points <= len(surface):  # each voxel at most once
        chosen = torch.randperm(len(surface), generator=generator)[:num_points]
    voxel_size = 2 * bound / _HULL_RESOLUTION
    points = surface[chosen] + (torch.rand(num_points, 3, generator=generator) - 0.5) * voxel_size  # [N, 3]
    normals = _outward_normals(grid, points, bound)
    colors = _facing_colors(points, normals, images, alphas, cameras)
    return gaussians_from_points(points, colors, generator, opacity=0.5, max_scale=3 * voxel_size)


def sample_image(image: Tensor, camera: Cameras, points: Tensor) -> Tensor:
    """Sample an image bilinearly at the projections of points; zero outside the image and behind the camera.

    Args:
        image: [H, W, D].
        camera: One camera of that size.
        points: [N, 3], world units.

    Returns:
        [N, D].
    """
    pixels, depths = camera.project(points)  # [N, 2], [N]
    size = torch.tensor([camera.width, camera.height])
    grid = (pixels / size * 2 - 1)[None, None]  # [1, 1, N, 2]
    values = F.grid_sample(image.permute(2, 0, 1)[None], grid, align_corners=False)[0, :, 0].T  # [N, D]
    return values * (depths > _NEAREST)[:, None]


def _silhouette_coverages(
    occupied: Tensor, voxels: Tensor, alphas: list[Tensor], cameras: list[Cameras]
) -> list[float]:
    """Return the fraction of each silhouette that the occupied voxels cover, at 32 x 32 cells.

    Cells are larger than voxels, so that a solid hull leaves no gaps between the projections of its voxels.
    """
    coverages = []
    for alpha, camera in zip(alphas, cameras, strict=True):
        coarse = F.adaptive_avg_pool2d(alpha[None], 32)[0] > 0.5  # [32, 32]
        if not coarse.any():  # an empty view, or an object smaller than a cell
            coverages.append(1.0)
            continue
        pixels, _ = camera.project(voxels[occupied])  # [M, 2]
        cells = (pixels / torch.tensor([camera.width, camera.height]) * 32).long().clamp(0, 31)  # [M, 2]
        covered = torch.zeros_like(coarse)
        covered[cells[:, 1], cells[:, 0]] = True
        coverages.append(((covered & coarse).sum() / coarse.sum()).item())
    return coverages


def _outward_normals(grid: Tensor, points: Tensor, bound: float) -> Tensor:
    """Return surface normals [N, 3]: the negative gradient of the blurred occupancy [1, 1, R, R, R]."""
    smooth = grid
    for size in ((7, 1, 1), (1, 7, 1), (1, 1, 7)):  # a box filter is separable: 3 x 7 summands, not 7^3
        padding = [side // 2 for side in size]
        smooth = F.avg_pool3d(smooth, size, stride=1, padding=padding, divisor_override=1)
    gradients = torch.stack(torch.gradient(smooth[0, 0] / 7**3))[None]  # [1, 3, R, R, R] along x, y, z
    coordinates = (points / bound)[:, [2, 1, 0]][None, None, None]  # grid_sample takes the last axis first
    return -F.normalize(F.grid_sample(gradients, coordinates, align_corners=False)[0, :, 0, 0].T, dim=-1)


def _facing_colors(
    points: Tensor, normals: Tensor, images: list[Tensor], alphas: list[Tensor], cameras: list[Cameras]
) -> Tensor:
    """Return colors [N, 3]: means over views, weighted by alpha and the fourth power of the facing cosine."""
    total, weight_sum = torch.zeros_like(points), torch.full_like(points[:, :1], 1e-6)
    for image, alpha, camera in zip(images, alphas, cameras, strict=True):
        rgba = torch.cat([image * alpha[..., None], alpha[..., None]], dim=-1)
        sampled = sample_image(rgba, camera, points)  # [N, 4] premultiplied
        # in place of a visibility test: a view that a point faces is unlikely to be occluded
        facing = (normals * camera.towards(points)).sum(dim=-1, keepdim=True).clamp_min(0.02) ** 4
        total += facing * sampled[:, :3]
        weight_sum += facing * sampled[:, 3:]
    return (total / weight_sum).clamp(0, 1)


def _neighbor_distances(points: Tensor) -> Tensor:
    """Return the root mean square distance to the three nearest neighbors, [N]; 0.05 below four points."""
    if len(points) < 4:
        return torch.full_like(points[:, 0], 0.05)
    nearest = [
        torch.cdist(block, points).topk(4, largest=False).values[:, 1:]
        for block in points.split(_SCALE_CHUNK)
    ]
    return torch.cat(nearest).square().mean(dim=-1) ** 0.5
