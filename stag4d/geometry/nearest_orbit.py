"""The orbit pose of a camera that looks at the origin."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .orbit import MAX_ELEVATION_DEG, MAX_RADIUS, MIN_RADIUS, OrbitPose, viewmats_from_angles
from .projection import Projection

TOLERANCE_DEG = 2.0  # of roll and of the direction to the origin
_MIN_FOVY_DEG, _MAX_FOVY_DEG = 1.0, 170.0  # of OrbitPose


def nearest_orbit(
    viewmat: Tensor,
    K: Tensor,
    height: int,
    projection: Projection = "pinhole",
    tolerance_deg: float = TOLERANCE_DEG,
) -> OrbitPose | None:
    """Return the orbit pose of a camera without its roll, or None if the camera is far from any.

    Args:
        viewmat: [4, 4] world-to-camera, OpenCV axes.
        K: [3, 3] intrinsics, pixels.
        height: Image height, pixels.
        projection: Projection of the camera. The pose of an orthographic one has the field of view that
            spans the same at the origin.
        tolerance_deg: Largest roll, and largest angle between the optical axis and the direction to the
            origin, degrees.

    Returns:
        The pose; None if the origin is behind the camera or off its axis, or the camera has a roll, or the
        pose is out of the range of ``OrbitPose``.
    """
    rotation, translation = viewmat[:3, :3].double().cpu(), viewmat[:3, 3].double().cpu()
    radius, depth = translation.norm().item(), translation[2].item()
    off_axis_deg = math.degrees(math.atan2(translation[:2].norm().item(), depth))
    if not MIN_RADIUS <= radius <= MAX_RADIUS or off_axis_deg > tolerance_deg:
        return None
    # Parallel rays have one direction; those of a pinhole camera start at its center.
    x, y, z = (-rotation[2] if projection == "ortho" else -(rotation.T @ translation) / radius).tolist()
    elevation_deg = math.degrees(math.atan2(y, math.hypot(x, z)))
    azimuth_deg = math.degrees(math.atan2(x, z))
    if math.hypot(x, z) < math.radians(90 - MAX_ELEVATION_DEG):  # near the axis the camera's right decides
        right = rotation[0].tolist()
        azimuth_deg = math.degrees(math.atan2(-right[2], right[0]))
    if _roll_deg(rotation, azimuth_deg, elevation_deg) > tolerance_deg:
        return None
    tangent = height / (2 * K[1, 1].item())
    if projection == "ortho":
        radius = depth
        tangent /= depth
    fovy_deg = math.degrees(2 * math.atan(tangent))
    if not _MIN_FOVY_DEG <= fovy_deg <= _MAX_FOVY_DEG:
        return None
    return OrbitPose(
        azimuth_deg=azimuth_deg,
        elevation_deg=min(max(elevation_deg, -MAX_ELEVATION_DEG), MAX_ELEVATION_DEG),
        radius=radius,
        fovy_deg=fovy_deg,
    )


def _roll_deg(rotation: Tensor, azimuth_deg: float, elevation_deg: float) -> float:
    """Return the angle between a camera's right and that of an upright camera, degrees."""
    upright = viewmats_from_angles([azimuth_deg], [elevation_deg], [1.0])[0, :3, :3].double()
    right, down = upright[0], upright[1]
    return math.degrees(
        abs(math.atan2(torch.dot(rotation[0], down).item(), torch.dot(rotation[0], right).item()))
    )
