"""Exact renders of a toy: images, alphas and depths from analytic ray hits, antialiased by supersampling."""

from __future__ import annotations

import torch
from torch import Tensor

from ..types import Cameras
from .objects import ToyObject
from .shapes import Solids, first_hits

_CHUNK_RAYS = 1 << 17  # rays at once: with about 30 solids, 16 MB for each float32 temporary
_EMPTY_COLOR = 1.0  # straight color where nothing is hit


def raycast(
    toy: ToyObject, frame_time: float, cameras: Cameras, supersample: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """Render a toy at one time from C cameras.

    Args:
        toy: The toy.
        frame_time: Time in [0, 1].
        cameras: C cameras outside the toy, on the CPU.
        supersample: Rays along each side of a pixel.

    Returns:
        Straight colors [C, H, W, 3] (white where nothing is hit), alphas [C, H, W], the covered fraction of
        each pixel, and depths [C, H, W], the mean camera z of a pixel's hits, 0 where there is none.

    Raises:
        ValueError: if the time is outside [0, 1], supersample is below 1 or there is no camera.
    """
    if supersample < 1:
        raise ValueError(f"ray casting: supersample is {supersample}; expected at least 1.")
    if len(cameras) == 0:
        raise ValueError("ray casting: no cameras; expected at least one.")
    solids = toy.pose(frame_time)
    rays_per_camera = cameras.width * cameras.height * supersample**2
    batches = torch.arange(len(cameras)).split(max(1, _CHUNK_RAYS // rays_per_camera))
    sums = torch.cat([_trace(toy, solids, cameras[batch], supersample) for batch in batches])
    sums /= supersample**2  # [C, H, W, 5] premultiplied color, alpha, z times alpha
    alphas = sums[..., 3]
    is_hit = alphas > 0
    straight = sums / alphas.masked_fill(~is_hit, 1.0)[..., None]
    images = straight[..., :3].clamp(0, 1).masked_fill(~is_hit[..., None], _EMPTY_COLOR)
    return images, alphas, straight[..., 4]


def _trace(toy: ToyObject, solids: Solids, cameras: Cameras, supersample: int) -> Tensor:
    """Return RGB, number of hits and camera z, summed over each pixel's rays, [C, H, W, 5]."""
    directions, cosines = _rays(cameras, supersample)
    samples = torch.zeros(*cosines.shape, 5)
    chunks = (part.split(_CHUNK_RAYS, dim=1) for part in (samples, directions, cosines))
    for sample, direction, cosine in zip(*chunks, strict=True):
        hits = first_hits(cameras.centers, direction, solids)
        is_hit = (hits.ids >= 0).nonzero(as_tuple=True)
        colors = toy.materials.colors_at(hits.ids[is_hit], hits.points[is_hit])
        depths = hits.distances[is_hit] * cosine[is_hit]
        sample[is_hit] = torch.cat([colors, torch.ones_like(colors[:, :1]), depths[:, None]], dim=1)
    grid = (len(cameras), cameras.height, supersample, cameras.width, supersample, 5)
    return samples.reshape(grid).sum(dim=(2, 4))


def _rays(cameras: Cameras, supersample: int) -> tuple[Tensor, Tensor]:
    """Return unit ray directions in the world [C, R, 3], row by row, and camera z per distance [C, R]."""
    xs = (torch.arange(cameras.width * supersample) + 0.5) / supersample
    ys = (torch.arange(cameras.height * supersample) + 0.5) / supersample
    rows, columns = (axis.reshape(-1) for axis in torch.meshgrid(ys, xs, indexing="ij"))  # [R]
    pixels = torch.stack([columns, rows, torch.ones_like(rows)], dim=-1)  # [R, 3]
    rays = pixels @ torch.linalg.inv(cameras.Ks).transpose(1, 2)  # [C, R, 3], z = 1
    cosines = 1 / rays.norm(dim=-1)
    directions = cosines[..., None] * rays @ cameras.viewmats[:, :3, :3]  # its rows are the camera's axes
    return directions, cosines
