"""Camera rigs: the angles, projection and order of a source of multi-view images, and its cameras.

Distances and object sizes of the sources differ; their cameras are framed alike, see ``framing``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor

from .framing import HALF_EXTENT, framing_radius, ortho_intrinsics
from .nearest_orbit import nearest_orbit
from .orbit import (
    DEFAULT_FOVY_DEG,
    DEFAULT_RADIUS,
    MAX_ELEVATION_DEG,
    OrbitPose,
    intrinsics,
    viewmats_from_angles,
)
from .projection import Projection
from .view_order import ViewOrder

ElevationKind = Literal["absolute", "relative", "tilted"]
RigReference = Literal["azimuth 0", "not a view"]

_EXACT_DEG = 1e-3  # of a tilted camera that is an orbit pose: above the rounding of float32


@dataclass(frozen=True, kw_only=True)
class CameraRig:
    """The cameras of a source of multi-view images, in the order of its images.

    Attributes:
        azimuths_deg: Azimuth of each image of a frame, degrees.
        elevations_deg: Elevation of each image of a frame, degrees, see ``elevation_kind``.
        elevation_kind: "absolute"; "relative" to the elevation of the input camera; or "tilted": in the axes
            of the input camera, with which the whole ring tilts.
        projection: "pinhole" or "ortho".
        fovy_deg: Vertical field of view of a pinhole rig, degrees.
        radius: Distance from the origin, world units; None for that of ``framing``.
        half_extent: Vertical half extent of the images of an orthographic rig, world units.
        order: Order of the images of a video.
        reference: "azimuth 0" if the frames of the video are the view at azimuth 0, or "not a view" if its
            camera is unknown.
        kept: Indices of the images that are views, in the order of the views; None for all.
        certainty: How the values are known.
    """

    azimuths_deg: tuple[float, ...]
    elevations_deg: tuple[float, ...]
    elevation_kind: ElevationKind = "absolute"
    projection: Projection = "pinhole"
    fovy_deg: float = DEFAULT_FOVY_DEG
    radius: float | None = None
    half_extent: float = HALF_EXTENT
    order: ViewOrder = "frame by frame"
    reference: RigReference = "azimuth 0"
    kept: tuple[int, ...] | None = None
    certainty: str = "given"

    def __post_init__(self) -> None:
        """Check angles and extents; raises ValueError with the offending value."""
        counts = len(self.azimuths_deg), len(self.elevations_deg)
        if counts[0] != counts[1]:
            raise ValueError(
                f"rig: {counts[0]} azimuths and {counts[1]} elevations; expected one of each per view."
            )
        if not all(map(math.isfinite, (*self.azimuths_deg, *self.elevations_deg))):
            raise ValueError("rig: an angle is not finite; every one must be.")
        if self.projection == "ortho" and not 0 < self.half_extent < math.inf:
            raise ValueError(f"rig: half extent {self.half_extent:g}; expected a positive number.")

    @property
    def num_images(self) -> int:
        """Return the number of images of a frame."""
        return len(self.azimuths_deg)

    @property
    def view_images(self) -> tuple[int, ...]:
        """Return the indices of the images that are views, in the order of the views."""
        return tuple(range(self.num_images)) if self.kept is None else self.kept


class RigCameras(NamedTuple):
    """Cameras of a rig in our world.

    Attributes:
        viewmats: Float32 [V, 4, 4] world-to-camera.
        Ks: Float32 [V, 3, 3] intrinsics, pixels.
        projection: "pinhole" or "ortho".
        poses: V orbit poses; None of a camera that is none. The pose of an orthographic camera has the field
            of view that spans the same at the origin.
    """

    viewmats: Tensor
    Ks: Tensor
    projection: Projection
    poses: tuple[OrbitPose | None, ...]


def rig_cameras(rig: CameraRig, width: int, height: int, input_elevation_deg: float = 0.0) -> RigCameras:
    """Return the cameras of a rig's views, without images that are no views.

    Args:
        rig: The rig.
        width: Image width, pixels.
        height: Image height, pixels.
        input_elevation_deg: Elevation of the input camera, degrees; it matters where elevations are not
            absolute.

    Raises:
        ValueError: if an elevation is above 90 degrees, or a pinhole is out of the range of ``OrbitPose``.
    """
    azimuths = [rig.azimuths_deg[index] for index in rig.view_images]
    elevations = [rig.elevations_deg[index] for index in rig.view_images]
    if rig.elevation_kind == "tilted" and input_elevation_deg != 0:
        return _tilted_cameras(rig, (width, height), (azimuths, elevations), input_elevation_deg)
    if rig.elevation_kind == "relative":
        elevations = [elevation + input_elevation_deg for elevation in elevations]
    return _cameras(rig, (width, height), azimuths, elevations)


def input_camera(
    rig: CameraRig, width: int, height: int, input_elevation_deg: float = 0.0
) -> RigCameras | None:
    """Return the camera of the video's frames, one at azimuth 0, or None if it is not known.

    Args:
        rig: The rig; the camera has its projection, distance and field of view.
        width: Width of the frames, pixels.
        height: Height of the frames, pixels.
        input_elevation_deg: Elevation of the camera, degrees.
    """
    if rig.reference == "not a view":
        return None
    return _cameras(rig, (width, height), [0.0], [input_elevation_deg])


def _cameras(
    rig: CameraRig, size: tuple[int, int], azimuths: Sequence[float], elevations: Sequence[float]
) -> RigCameras:
    """Return cameras that look at the origin without roll."""
    for elevation in elevations:
        if abs(elevation) > 90:
            raise ValueError(f"rig: elevation {elevation:g} degrees; expected -90 to 90.")
    radius, fovy_deg = _radius_and_fovy(rig)
    poses = tuple(
        OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation, radius=radius, fovy_deg=fovy_deg)
        if rig.projection == "pinhole" or abs(elevation) <= MAX_ELEVATION_DEG
        else None
        for azimuth, elevation in zip(azimuths, elevations, strict=True)
    )
    viewmats = viewmats_from_angles(azimuths, elevations, [radius] * len(azimuths))
    return RigCameras(viewmats, _intrinsics(rig, size, len(azimuths)), rig.projection, poses)


def _tilted_cameras(
    rig: CameraRig,
    size: tuple[int, int],
    angles: tuple[Sequence[float], Sequence[float]],
    input_elevation_deg: float,
) -> RigCameras:
    """Return cameras whose angles are those in the axes of the input camera; most of them have a roll."""
    radius, _ = _radius_and_fovy(rig)
    viewmats = viewmats_from_angles(*angles, [radius] * len(angles[0])).double()  # [V, 4, 4]
    level, tilted = viewmats_from_angles([0.0, 0.0], [0.0, input_elevation_deg], [radius] * 2).double()
    viewmats[:, :3, :3] = viewmats[:, :3, :3] @ level[:3, :3].T @ tilted[:3, :3]
    viewmats, Ks = viewmats.float(), _intrinsics(rig, size, len(viewmats))
    poses = tuple(
        nearest_orbit(viewmat, K, size[1], rig.projection, tolerance_deg=_EXACT_DEG)
        for viewmat, K in zip(viewmats, Ks, strict=True)
    )
    return RigCameras(viewmats, Ks, rig.projection, poses)


def _radius_and_fovy(rig: CameraRig) -> tuple[float, float]:
    """Return distance and field of view of the cameras; of orthographic ones those with the same extent."""
    if rig.projection == "ortho":
        # Their distance does not change the images, and the object must lie in front of the camera.
        radius = max(DEFAULT_RADIUS, rig.radius or 0.0)
        return radius, math.degrees(2 * math.atan(rig.half_extent / radius))
    return framing_radius(rig.fovy_deg) if rig.radius is None else rig.radius, rig.fovy_deg


def _intrinsics(rig: CameraRig, size: tuple[int, int], count: int) -> Tensor:
    """Return the intrinsics of all cameras of a rig, [V, 3, 3]."""
    if rig.projection == "ortho":
        return ortho_intrinsics([rig.half_extent] * count, *size)
    return intrinsics([rig.fovy_deg] * count, *size)
