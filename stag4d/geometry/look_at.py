"""Cameras given by position and target or quaternion (LOAD3D_CAMERA), and trajectories through keyframes.

Such cameras are in our world (right-handed, y up) but have three.js axes: x right, y up, looking down -z.
Flipping the camera's own y and z gives the OpenCV axes of ``orbit_viewmats``: the rows of the rotation are
the camera's right, down and forward directions in the world. For a camera on an orbit that looks at the
origin, the matrix equals the orbit's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .orbit import OrbitPose
from .pose_json import finite_number
from .quaternions import quats_to_rotations

MAX_COORDINATE = 1e7  # world units: squares stay finite in float32
_MIN_FOVY_DEG = 1e-4
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


def read_camera_info(camera: Mapping[str, Any], default_fovy_deg: float) -> tuple[Tensor, float]:
    """Return the camera of a LOAD3D_CAMERA value.

    Its rotation is the quaternion's where there is one; otherwise the camera looks at the target. Zoom
    multiplies the focal length. As in the host, a field of view or zoom of 0 counts as absent.

    Args:
        camera: ``position``, ``quaternion`` or ``target``, ``fov`` (vertical, degrees), ``zoom``,
            ``cameraType``.
        default_fovy_deg: Vertical field of view, degrees, where ``fov`` is absent.

    Returns:
        World-to-camera matrix, float32 [4, 4], and the vertical field of view after zoom, degrees.

    Raises:
        ValueError: if a part is missing or out of range, or the camera is orthographic.
    """
    if not isinstance(camera, Mapping):
        raise ValueError(f"camera: {camera!r}; expected a camera with a position and a target.")
    if str(camera.get("cameraType", "")).lower().startswith("ortho"):
        raise ValueError("camera: orthographic; expected perspective.")
    position = _components(camera, "position", "xyz")
    if camera.get("quaternion"):
        viewmat = quat_viewmat(position, _components(camera, "quaternion", "xyzw"))
    else:
        viewmat = look_at_viewmat(position, _components(camera, "target", "xyz"))
    fovy_deg = finite_number(camera.get("fov") or default_fovy_deg, "camera: fov")
    zoom = finite_number(camera.get("zoom") or 1.0, "camera: zoom")
    if not 0 < fovy_deg < 180:
        raise ValueError(f"camera: fov {fovy_deg:g} degrees; expected more than 0 and less than 180.")
    if zoom < 0:
        raise ValueError(f"camera: zoom {zoom:g}; expected a positive number.")
    zoomed_deg = 2 * math.degrees(math.atan(math.tan(math.radians(fovy_deg) / 2) / zoom))
    if not _MIN_FOVY_DEG <= zoomed_deg <= 180 - _MIN_FOVY_DEG:  # beyond, focal lengths are 0 or infinite
        raise ValueError(f"camera: fov {fovy_deg:g} degrees with zoom {zoom:g}; expected a pinhole camera.")
    return viewmat, zoomed_deg


def keyframe_poses(keyframes: Sequence[OrbitPose], count: int) -> list[OrbitPose]:
    """Return poses on a smooth trajectory through keyframes, evenly spaced in time, both ends included.

    Azimuth, elevation, radius and field of view are interpolated independently and without wrapping: azimuth
    0 to 720 is two full turns. The interpolation is monotone cubic (Fritsch and Butland, 1984): no value
    leaves the range of the two keyframes around it, and between two keyframes alone it is linear.

    Args:
        keyframes: K poses, at least one. One alone is repeated.
        count: Number of poses. A single one is the first keyframe.

    Raises:
        ValueError: if there are no keyframes.
    """
    if not keyframes:
        raise ValueError("camera path: no keyframes; expected at least one.")
    if len(keyframes) == 1:
        return [keyframes[0]] * count
    values = np.array([[p.azimuth_deg, p.elevation_deg, p.radius, p.fovy_deg] for p in keyframes])  # [K, 4]
    steps = np.diff(values, axis=0)  # [K - 1, 4]
    products, sums = steps[:-1] * steps[1:], steps[:-1] + steps[1:]
    # A harmonic mean, or 0 at a local extremum: this is what keeps the cubic from overshooting.
    inner = np.where(products > 0, 2 * products / np.where(sums == 0, 1, sums), 0)  # [K - 2, 4]
    slopes = np.concatenate([steps[:1], inner, steps[-1:]])  # [K, 4]
    positions = np.linspace(0, len(keyframes) - 1, count)  # in keyframes
    left = np.minimum(positions.astype(int), len(keyframes) - 2)
    t = (positions - left)[:, None]
    first, second = values[left], values[left + 1]
    path = first + steps[left] * t**2 * (3 - 2 * t)  # cubic Hermite
    path += slopes[left] * t * (1 - t) ** 2 - slopes[left + 1] * t**2 * (1 - t)
    path = np.clip(path, np.minimum(first, second), np.maximum(first, second))  # removes rounding errors
    return [
        OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation, radius=radius, fovy_deg=fovy)
        for azimuth, elevation, radius, fovy in path.tolist()
    ]


def _components(camera: Mapping[str, Any], field: str, axes: str) -> list[float]:
    """Return the numbers of a field such as ``{"x": 0, "y": 0, "z": 2}``."""
    value = camera.get(field)
    if not isinstance(value, Mapping):
        raise ValueError(f"camera: no {field}; expected one with {', '.join(axes)}.")
    return [finite_number(value.get(axis), f"camera: {field}.{axis}") for axis in axes]


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
