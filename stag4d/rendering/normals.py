"""Normals of rendered surfaces, from their depth."""

from __future__ import annotations

import torch
from torch import Tensor

from ..geometry import Projection

_VISIBLE = 0.5  # alpha above which a pixel shows the surface


def normals_from_depth(
    depths: Tensor, alphas: Tensor, Ks: Tensor, projection: Projection = "pinhole"
) -> Tensor:
    """Return the unit normals of the surfaces that C depth images show.

    A normal is the cross product of the differences between the 3D points of neighboring pixels, as in
    ``gsplat.utils.depth_to_normal``: central differences, one-sided where one neighbor is background.

    Args:
        depths: [C, H, W] camera z, world units.
        alphas: [C, H, W]; pixels of at most one half are background.
        Ks: [C, 3, 3] intrinsics, pixels; focals of orthographic cameras: pixels per world unit.
        projection: Of all cameras; the rays of orthographic ones are parallel.

    Returns:
        [C, H, W, 3] in camera axes (x right, y down, z forward), toward the camera; 0 where the pixel, or
        both of its neighbors in a row or column, are background.
    """
    height, width = depths.shape[1:]
    rows = torch.arange(height, device=depths.device) + 0.5
    columns = torch.arange(width, device=depths.device) + 0.5
    x = (columns - Ks[:, 0, 2, None]) / Ks[:, 0, 0, None]  # [C, W]
    y = (rows - Ks[:, 1, 2, None]) / Ks[:, 1, 1, None]  # [C, H]
    x, y = x[:, None, :].expand_as(depths), y[:, :, None].expand_as(depths)  # [C, H, W] at z = 1
    if projection == "pinhole":
        x, y = x * depths, y * depths
    points, visible = torch.stack([x, y, depths], dim=-1), alphas > _VISIBLE  # [C, H, W, 3], [C, H, W]
    right, down = _differences(points, visible, dim=2), _differences(points, visible, dim=1)
    normals = _unit(torch.linalg.cross(_unit(down), _unit(right)))
    return torch.where(visible[..., None], normals, 0.0)


def encode_normals(normals: Tensor) -> Tensor:
    """Return normals as colors, as normal maps of OpenGL have them: x right, y up, z toward the camera.

    Args:
        normals: [..., 3] in camera axes (x right, y down, z forward); 0 where there is none.

    Returns:
        [..., 3]: -1 to 1 as 0 to 1, so (0.5, 0.5, 1) faces the camera; black where there is no normal.
    """
    colors = 0.5 + 0.5 * normals * normals.new_tensor([1.0, -1.0, -1.0])
    return torch.where((normals != 0).any(dim=-1, keepdim=True), colors, 0.0)


def _unit(vectors: Tensor) -> Tensor:
    """Return vectors [..., 3] of length 1, also if they are very short; zeros stay zeros."""
    return torch.nn.functional.normalize(vectors, dim=-1, eps=1e-30)


def _differences(points: Tensor, visible: Tensor, dim: int) -> Tensor:
    """Return the differences between the neighbors of each pixel along a dimension.

    Args:
        points: [C, H, W, 3].
        visible: [C, H, W]; the pixel itself takes the place of a neighbor that is not visible.
        dim: 1 or 2.

    Returns:
        [C, H, W, 3]; 0 where neither neighbor is visible.
    """
    indices = torch.arange(points.shape[dim], device=points.device)
    after, before = (indices + 1).clamp(max=len(indices) - 1), (indices - 1).clamp(min=0)
    end, start = (
        torch.where(visible.index_select(dim, at)[..., None], points.index_select(dim, at), points)
        for at in (after, before)
    )
    return end - start
