"""World-to-camera matrices of cameras given by a position and a target or quaternion.

Such cameras are in our world (right-handed, y up) but have three.js axes: x right, y up, looking down -z.
Flipping the camera's own y and z gives the OpenCV axes of ``orbit_viewmats``: the rows of the rotation are
the camera's right, down and forward directions in the world. For a camera on an orbit that looks at the
origin, the matrix equals the orbit's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .quaternions import quats_to_rotations

MAX_COORDINATE = 1e7  # world units: squares stay finite in float32
_VERTICAL = 1e-6  # sine of the angle to the y axis below which the up vector is degenerate


def look_at_viewmat(position: Sequence[float], target: Sequence[float]) -> Tensor:
    """Return the world-to-camera matrix of an upright camera that looks at a point.

    Straight above or below the target, its right is the world's +x, as on the orbit at azimuth 0.

    Args:
        position: Camera center in the world, xyz.
        target: Point in the world that it looks at, xyz.

    Returns:
        Float32 [4, 4], OpenCV axes.

    Raises:
        ValueError: if a number is not finite or the two points are equal.
    """
    center, point = _finite("position", position), _finite("target", target)
    distance = (point - center).norm()
    if distance == 0:
        raise ValueError(f"camera: position and target are both {tuple(position)}; expected distinct points.")
    forward = (point - center) / distance
    right = torch.stack([-forward[2], torch.zeros_like(distance), forward[0]])  # forward x up
    if right.norm() < _VERTICAL:
        right = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    right = right / right.norm()
    return _viewmat(torch.stack([right, torch.linalg.cross(forward, right), forward]), center)


def quat_viewmat(position: Sequence[float], quat_xyzw: Sequence[float]) -> Tensor:
    """Return the world-to-camera matrix of a camera with three.js axes.

    Args:
        position: Camera center in the world, xyz.
        quat_xyzw: Camera-to-world rotation, w last; any length but 0.

    Returns:
        Float32 [4, 4], OpenCV axes.

    Raises:
        ValueError: if a number is not finite or the quaternion is zero.
    """
    center, quat = _finite("position", position), _finite("quaternion", quat_xyzw)
    if quat.norm() == 0:
        raise ValueError("camera: quaternion is zero; expected a rotation.")
    axes = quats_to_rotations(quat.roll(1))  # columns: the camera's right, up and backward
    return _viewmat(axes.T * torch.tensor([[1.0], [-1.0], [-1.0]], dtype=torch.float64), center)


def _finite(name: str, values: Sequence[float]) -> Tensor:
    """Return numbers as float64; raises ValueError unless all are finite and of sane magnitude."""
    numbers = torch.tensor(values, dtype=torch.float64)
    if not torch.isfinite(numbers).all():
        raise ValueError(f"camera: {name} is {tuple(values)}; expected finite numbers.")
    if numbers.abs().max() > MAX_COORDINATE:
        raise ValueError(f"camera: {name} is {tuple(values)}; expected at most {MAX_COORDINATE:g}.")
    return numbers


def _viewmat(rotation: Tensor, center: Tensor) -> Tensor:
    """Return the float32 [4, 4] of a rotation [3, 3] with rows right, down, forward and a center [3]."""
    viewmat = torch.eye(4, dtype=torch.float64)
    viewmat[:3, :3] = rotation
    viewmat[:3, 3] = -rotation @ center
    return viewmat.float()
