"""Camera matrices of other programs: conversion of their axes and worlds to ours.

Our world is y-up and our cameras have OpenCV axes (right, down, forward); OpenGL axes are right, up and
backward.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from .camera_checks import check_viewmats

CameraAxes = Literal["opencv", "opengl"]
WorldUp = Literal["y", "z", "-y"]

_WORLD_ROTATIONS: dict[WorldUp, tuple[tuple[float, ...], ...]] = {
    "y": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "z": ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)),  # (x, z, -y): Blender's front becomes ours
    "-y": ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0)),
}
SAME_POSE = 1e-4  # of the elements of two matrices
_MAX_CONDITION = 1e3  # of the equations for the nearest point; beyond, the axes are parallel


def world_rotation(up: WorldUp) -> Tensor:
    """Return the rotation from a world with another up axis to ours, float64 [3, 3].

    Raises:
        ValueError: if the axis is unknown.
    """
    if up not in _WORLD_ROTATIONS:
        raise ValueError(f"cameras: unknown up axis {up!r}; expected one of {', '.join(_WORLD_ROTATIONS)}.")
    return torch.tensor(_WORLD_ROTATIONS[up], dtype=torch.float64)


def viewmats_from_c2ws(
    c2ws: Tensor, names: Sequence[str], axes: CameraAxes = "opengl", up: WorldUp = "y"
) -> Tensor:
    """Return world-to-camera matrices in a y-up world.

    Args:
        c2ws: [C, 4, 4] camera-to-world.
        names: C names of the cameras for error messages.
        axes: Axes of the cameras: "opengl" (nerfstudio, Blender, three.js) or "opencv".
        up: Up axis of the source's world: "z" (nerfstudio, Blender), "y", or "-y" (Panoptic Studio).

    Returns:
        Float64 [C, 4, 4], OpenCV axes. Points of the source are multiplied by ``world_rotation``.

    Raises:
        ValueError: if a matrix is not rigid, see ``check_viewmats``.
    """
    if axes not in ("opencv", "opengl"):
        raise ValueError(f"cameras: unknown camera axes {axes!r}; expected opencv or opengl.")
    checked = check_viewmats(c2ws.double().cpu(), names)
    rotations = world_rotation(up) @ checked[:, :3, :3]  # [C, 3, 3], columns: the camera's axes
    if axes == "opengl":
        rotations = rotations * torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)
    centers = (world_rotation(up) @ checked[:, :3, 3:])[..., 0]  # [C, 3]
    return _viewmats(rotations.transpose(1, 2), centers)


def camera_centers(viewmats: Tensor) -> Tensor:
    """Return the centers [C, 3] in the world of cameras [C, 4, 4]."""
    return -(viewmats[:, :3, :3].transpose(1, 2) @ viewmats[:, :3, 3:])[..., 0]


def have_same_pose(viewmat: Tensor, other: Tensor) -> bool:
    """Return whether two cameras [4, 4] have the same pose, to a tenth of a pixel in large images."""
    return bool((viewmat - other).abs().max() < SAME_POSE)


def nearest_point_of_axes(viewmats: Tensor) -> Tensor | None:
    """Return the point that is nearest to the optical axes of all cameras, in the least-squares sense.

    Args:
        viewmats: [C, 4, 4] world-to-camera.

    Returns:
        Float64 [3]; None if the axes are parallel, as those of a single camera.
    """
    values = viewmats.double().cpu()
    directions = values[:, 2, :3]  # [C, 3]
    across = torch.eye(3, dtype=torch.float64) - directions[:, :, None] * directions[:, None, :]  # [C, 3, 3]
    normal = across.sum(dim=0)
    if not torch.linalg.cond(normal) <= _MAX_CONDITION:
        return None
    return torch.linalg.solve(normal, (across @ camera_centers(values)[..., None]).sum(dim=0)[:, 0])


def check_direction(viewmats: Tensor, subject: str) -> None:
    """Raise ValueError if cameras around an object look away from it: their file has other axes than assumed.

    Args:
        viewmats: [C, 4, 4] world-to-camera. Nothing is known of cameras with parallel axes.
        subject: The file or input for error messages.
    """
    point = nearest_point_of_axes(viewmats)
    if point is None:
        return
    values = viewmats.double().cpu()
    depths = ((point - camera_centers(values)) * values[:, 2, :3]).sum(dim=-1)  # [C]
    if depths.mean() < 0:
        raise ValueError(
            f"{subject}: the cameras look away from the point that their axes share; expected the other "
            "convention of camera axes (OpenCV: z forward, OpenGL: z backward)."
        )


def _viewmats(rotations: Tensor, centers: Tensor) -> Tensor:
    """Return float64 [C, 4, 4] of rotations [C, 3, 3] with rows right, down, forward and centers [C, 3]."""
    viewmats = torch.eye(4, dtype=torch.float64).repeat(len(rotations), 1, 1)
    viewmats[:, :3, :3] = rotations
    viewmats[:, :3, 3:] = -rotations @ centers[..., None]
    return viewmats
