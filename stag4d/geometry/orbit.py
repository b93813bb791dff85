"""Orbit poses and pinhole intrinsics.

The world is y-up and right-handed with the object at the origin. Azimuth 0 is on +z looking at -z and grows
to the camera's right (towards +x); positive elevation is above. Cameras are OpenCV (x right, y down, z
forward).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

DEFAULT_RADIUS = 2.0  # official code
DEFAULT_FOVY_DEG = 49.1  # official code
MAX_ELEVATION_DEG = 89.9  # at the poles the up vector is undefined
MAX_AZIMUTH_DEG = 1e6  # turns are not reduced; beyond, their fractions lose precision
MIN_RADIUS, MAX_RADIUS = 1e-6, 1e6  # world units; squares stay finite in float32


@dataclass(frozen=True, kw_only=True)
class OrbitPose:
    """One camera that looks at the origin.

    Attributes:
        azimuth_deg: Degrees around the y axis, 0 on +z, growing towards +x.
        elevation_deg: Degrees above the horizontal plane, within +-89.9.
        radius: Distance of the camera center from the origin, world units.
        fovy_deg: Vertical field of view, degrees.
    """

    azimuth_deg: float
    elevation_deg: float = 0.0
    radius: float = DEFAULT_RADIUS
    fovy_deg: float = DEFAULT_FOVY_DEG

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError with the offending value."""
        values = (self.azimuth_deg, self.elevation_deg, self.radius, self.fovy_deg)
        if not all(math.isfinite(value) for value in values):
            raise ValueError(f"camera pose: {self} is not finite; every number must be.")
        if abs(self.elevation_deg) > MAX_ELEVATION_DEG:
            raise ValueError(
                f"camera pose: elevation {self.elevation_deg:g} degrees; expected -{MAX_ELEVATION_DEG} to "
                f"{MAX_ELEVATION_DEG} (straight from above the up direction is undefined)."
            )
        if abs(self.azimuth_deg) > MAX_AZIMUTH_DEG:
            raise ValueError(
                f"camera pose: azimuth {self.azimuth_deg:g} degrees; expected at most {MAX_AZIMUTH_DEG:g}."
            )
        if self.radius <= 0:
            raise ValueError(f"camera pose: radius {self.radius:g}; expected a positive distance.")
        if not MIN_RADIUS <= self.radius <= MAX_RADIUS:
            raise ValueError(
                f"camera pose: radius {self.radius:g}; expected {MIN_RADIUS:g} to {MAX_RADIUS:g}."
            )
        if not 1.0 <= self.fovy_deg <= 170.0:
            raise ValueError(f"camera pose: fovy {self.fovy_deg:g} degrees; expected 1 to 170.")


def pose_towards_origin(center: Tensor, half_extent: float) -> OrbitPose:
    """Return the pose with the default field of view in the direction of a camera center.

    Args:
        center: [3], world units.
        half_extent: Half the height that the camera sees in the plane of the origin, world units.
    """
    x, y, z = center.double().tolist()
    elevation = math.degrees(math.atan2(y, math.hypot(x, z)))
    return OrbitPose(
        azimuth_deg=math.degrees(math.atan2(x, z)),
        elevation_deg=min(max(elevation, -MAX_ELEVATION_DEG), MAX_ELEVATION_DEG),
        radius=half_extent / math.tan(math.radians(DEFAULT_FOVY_DEG) / 2),
    )


def turn_between(pose: OrbitPose, target: OrbitPose) -> tuple[float, float, float]:
    """Return the rotation from a camera to a target camera, as Zero123 is conditioned on it.

    Returns:
        Difference of the polar angles, radians, positive when the target is lower; sine and cosine of the
        difference of the azimuths, which is positive when the target is further to the right.
    """
    polar = math.radians(pose.elevation_deg - target.elevation_deg)
    azimuth = math.radians(target.azimuth_deg - pose.azimuth_deg)
    return polar, math.sin(azimuth), math.cos(azimuth)


def orbit_viewmats(poses: Sequence[OrbitPose]) -> Tensor:
    """Return world-to-camera matrices that look at the origin from each pose.

    Rows of the rotation are the camera's right, down and forward directions in the world; ``look_at_viewmat``
    does the same for cameras that do not look at the origin.

    Args:
        poses: C orbit poses.

    Returns:
        Float32 [C, 4, 4], OpenCV axes.
    """
    return viewmats_from_angles(
        [pose.azimuth_deg for pose in poses],
        [pose.elevation_deg for pose in poses],
        [pose.radius for pose in poses],
    )


def viewmats_from_angles(
    azimuths_deg: Sequence[float], elevations_deg: Sequence[float], radii: Sequence[float]
) -> Tensor:
    """Return world-to-camera matrices of ``orbit_viewmats`` for any elevation, straight above included.

    Args:
        azimuths_deg: C angles around the y axis, degrees.
        elevations_deg: C angles above the horizontal plane, degrees.
        radii: C distances from the origin, world units.

    Returns:
        Float32 [C, 4, 4], OpenCV axes. At an elevation of +-90 degrees the azimuth is that of the camera's
        right.
    """
    azimuths = torch.tensor(azimuths_deg, dtype=torch.float64).deg2rad()  # [C]
    elevations = torch.tensor(elevations_deg, dtype=torch.float64).deg2rad()  # [C]
    sin_az, cos_az = azimuths.sin(), azimuths.cos()
    sin_el, cos_el = elevations.sin(), elevations.cos()
    zero = torch.zeros_like(azimuths)
    right = torch.stack([cos_az, zero, -sin_az], dim=-1)  # [C, 3]
    down = torch.stack([sin_el * sin_az, -cos_el, sin_el * cos_az], dim=-1)  # [C, 3]
    forward = torch.stack([-cos_el * sin_az, -sin_el, -cos_el * cos_az], dim=-1)  # [C, 3]
    viewmats = torch.eye(4, dtype=torch.float64).repeat(len(azimuths), 1, 1)  # [C, 4, 4]
    viewmats[:, :3, :3] = torch.stack([right, down, forward], dim=1)
    viewmats[:, 2, 3] = torch.tensor(radii, dtype=torch.float64)  # the center is -radius * forward
    return viewmats.float()


def intrinsics(fovy_deg: Sequence[float], width: int, height: int) -> Tensor:
    """Return pinhole matrices in pixels with square pixels and a centered principal point.

    Args:
        fovy_deg: C vertical fields of view, degrees.
        width: Image width, pixels.
        height: Image height, pixels.

    Returns:
        Float32 [C, 3, 3]; focal = height / (2 tan(fovy / 2)).
    """
    focals = [0.5 * height / math.tan(math.radians(fovy) / 2) for fovy in fovy_deg]
    return torch.tensor(
        [[[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]] for focal in focals], dtype=torch.float32
    ).reshape(-1, 3, 3)


def angle_between_deg(first: OrbitPose, second: OrbitPose) -> float:
    """Return the angle between two poses' viewing directions, degrees in [0, 180]."""
    return angle_deg(*orbit_viewmats([first, second])[:, 2, :3])


def angle_deg(first: Tensor, second: Tensor) -> float:
    """Return the angle between two unit vectors [3], degrees in [0, 180]."""
    first, second = first.double(), second.double()
    # atan2 of sine and cosine: acos loses the small angles to rounding
    return math.degrees(math.atan2(torch.linalg.cross(first, second).norm().item(), (first @ second).item()))


def nearest_poses(pose: OrbitPose, others: Sequence[OrbitPose]) -> list[int]:
    """Return the indices of the poses at the smallest angle to ``pose``, with ties within 0.01 degrees."""
    angles = [angle_between_deg(pose, other) for other in others]
    return [index for index, angle in enumerate(angles) if angle <= min(angles) + 0.01]
