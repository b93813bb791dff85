"""Exact pictures of a toy: images, mattes and depth from analytic ray hits, antialiased by supersampling."""

from __future__ import annotations

import torch
from torch import Tensor

from ..types import Cameras
from .objects import ToyObject
from .shapes import Solids, first_hits

_CHUNK_RAYS = 1 << 17  # cast at once: times about 30 solids in float32, 16 MB a temporary
_HIDDEN_COLOR = 1.0  # straight color where nothing was hit


def raycast(
    toy: ToyObject, frame_time: float, cameras: Cameras, supersample: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what C cameras see of a toy at one time.

    Args:
        toy: The toy.
        frame_time: 0 to 1.
        cameras: C cameras outside the toy, on the CPU.
        supersample: Rays along each side of a pixel.

    Returns:
        Straight colors [C, H, W, 3] (white where nothing is hit), alphas [C, H, W], the covered share of each
        pixel, and depths [C, H, W], the mean camera z of a pixel's hits, 0 where there is none.

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
    sums = torch.cat([_shoot(toy, solids, cameras[batch], supersample) for batch in batches])
    sums /= supersample**2  # [C, H, W, 5] premultiplied color, alpha, z times alpha
    alphas = sums[..., 3]
    seen = alphas > 0
    straight = sums / alphas.masked_fill(~seen, 1.0)[..., None]
    images = straight[..., :3].clamp(0, 1).masked_fill(~seen[..., None], _HIDDEN_COLOR)
    return images, alphas, straight[..., 4]


def _shoot(toy: ToyObject, solids: Solids, cameras: Cameras, supersample: int) -> Tensor:
    """Return color, hits and camera z, summed over each pixel's rays, [C, H, W, 5]."""
    directions, cosines = _rays(cameras, supersample)
    samples = torch.zeros(*cosines.shape, 5)
    chunks = (part.split(_CHUNK_RAYS, dim=1) for part in (samples, directions, cosines))
    for sample, direction, cosine in zip(*chunks, strict=True):
        hits = first_hits(cameras.centers, direction, solids)
        seen = (hits.ids >= 0).nonzero(as_tuple=True)
        colors = toy.paint.colors_at(hits.ids[seen], hits.points[seen])
        depths = hits.distances[seen] * cosine[seen]
        sample[seen] = torch.cat([colors, torch.ones_like(colors[:, :1]), depths[:, None]], dim=1)
    grid = (len(cameras), cameras.height, supersample, cameras.width, supersample, 5)
    return samples.reshape(grid).sum(dim=(2, 4))


def _rays(cameras: Cameras, supersample: int) -> tuple[Tensor, Tensor]:
    """Return unit directions in the world [C, R, 3], row by row, and camera z a unit of distance [C, R]."""
    xs = (torch.arange(cameras.width * supersample) + 0.5) / supersample
    ys = (torch.arange(cameras.height * supersample) + 0.5) / supersample
    rows, columns = (axis.reshape(-1) for axis in torch.meshgrid(ys, xs, indexing="ij"))  # [R]
    pixels = torch.stack([columns, rows, torch.ones_like(rows)], dim=-1)  # [R, 3]
    rays = pixels @ torch.linalg.inv(cameras.Ks).transpose(1, 2)  # [C, R, 3], z = 1
    cosines = 1 / rays.norm(dim=-1)
    directions = cosines[..., None] * rays @ cameras.viewmats[:, :3, :3]  # its rows are the camera's axes
    return directions, cosines
