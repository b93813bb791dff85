"""Inputs that the nodes have that make view sets: camera rig, use of the reference, given cameras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from comfy_api.latest import io

from ...stag4d.geometry import (
    CAMERA_RIGS,
    DEFAULT_FOVY_DEG,
    DEFAULT_RADIUS,
    HALF_EXTENT,
    PROJECTIONS,
    CameraRig,
    FovAxis,
    OrbitPose,
    Projection,
    rig_cameras,
)
from ...stag4d.pipeline import ReferenceUse
from .sockets import Extrinsics, Intrinsics

Align = Literal["as given", "center and scale"]
CUSTOM, CAMERAS = "custom", "cameras"  # rigs that are no presets
RIGS = (CUSTOM, *CAMERA_RIGS, CAMERAS)
OF_RIG: Final = "from the rig"


def azimuths_input() -> Any:
    """Return the input ``azimuths``."""
    return io.String.Input(
        "azimuths",
        default="30, 90, 150, 210, 270, 330",
        tooltip="Azimuth of each view of a frame, degrees: 0 is the video's camera, 90 is to its right.",
    )


def elevations_input() -> Any:
    """Return the input ``elevations``."""
    return io.String.Input(
        "elevations",
        default="30, -20, 30, -20, 30, -20",
        tooltip="Elevation of each view of a frame, degrees; positive ones look down from above.",
    )


def fovy_input() -> Any:
    """Return the input ``fovy``."""
    return io.Float.Input(
        "fovy",
        default=DEFAULT_FOVY_DEG,
        min=1.0,
        max=120.0,
        step=0.1,
        tooltip="Vertical field of view of all images, degrees.",
    )


def radius_input() -> Any:
    """Return the input ``radius``."""
    return io.Float.Input(
        "radius",
        default=DEFAULT_RADIUS,
        min=0.05,
        max=100.0,
        step=0.05,
        tooltip="Distance of all cameras from the object's center, scene units.",
    )


def input_elevation_input() -> Any:
    """Return the input ``input_elevation``."""
    return io.Float.Input(
        "input_elevation",
        default=0.0,
        min=-89.0,
        max=89.0,
        step=1.0,
        advanced=True,
        tooltip="Elevation of the video's camera, degrees, positive above the object.",
    )


def rig_input(default: str, *, optional: bool) -> Any:
    """Return the input ``rig``; optional where older prompts lack it."""
    return io.Combo.Input(
        "rig",
        optional=optional,
        options=list(RIGS),
        default=default,
        tooltip="Cameras of the views. custom: from azimuths, elevations, fovy and radius. cameras: from "
        "camera_info or extrinsics. Others: the rig of that model; it ignores those widgets, and some "
        "rise with input_elevation.",
    )


def reference_use_input() -> Any:
    """Return the input ``reference_use``."""
    return io.Combo.Input(
        "reference_use",
        optional=True,
        options=list(get_args(ReferenceUse)),
        default=OF_RIG,
        tooltip="azimuth 0: the video is the view at azimuth 0. not a view: its camera is unknown, as with "
        "models that turn the object to its front; guidance is not possible then. from the rig: what the "
        "rig's model does.",
    )


def projection_input() -> Any:
    """Return the input ``projection``."""
    return io.Combo.Input(
        "projection",
        optional=True,
        options=list(PROJECTIONS),
        default=PROJECTIONS[0],
        advanced=True,
        tooltip="Rigs custom and cameras: pinhole is perspective; ortho is orthographic, as the views of "
        "MV-Adapter and Era3D. Cameras of camera_info have their own.",
    )


def half_extent_input() -> Any:
    """Return the input ``half_extent``."""
    return io.Float.Input(
        "half_extent",
        optional=True,
        default=round(HALF_EXTENT, 6),
        min=0.001,
        max=1000.0,
        step=0.001,
        advanced=True,
        tooltip="Projection ortho: half of the height that an image shows, scene units.",
    )


def weight_input() -> Any:
    """Return the input ``weight``."""
    return io.Float.Input(
        "weight",
        optional=True,
        default=1.0,
        min=0.0,
        max=100.0,
        step=0.05,
        advanced=True,
        tooltip="Weight of the views in the losses; the input video has 1.",
    )


def align_input() -> Any:
    """Return the input ``align``."""
    return io.Combo.Input(
        "align",
        optional=True,
        options=list(get_args(Align)),
        default="as given",
        advanced=True,
        tooltip="Rig cameras. as given: the cameras are in scene units, as those of STAG4D Camera Path. "
        "center and scale: they are moved around the origin, the first to azimuth 0, and scaled.",
    )


def fov_axis_input() -> Any:
    """Return the input ``fov_axis``."""
    return io.Combo.Input(
        "fov_axis",
        optional=True,
        options=list(get_args(FovAxis)),
        default="vertical",
        advanced=True,
        tooltip="Side of portrait images that the field of view of camera_info spans. smaller: for images of "
        "ComfyUI's Render Splat.",
    )


def camera_inputs() -> list[Any]:
    """Return the sockets for cameras."""
    return [
        io.Load3DCamera.Input(
            "camera_info",
            optional=True,
            tooltip="Rig cameras: one camera, or a list with one per view or per image, as Batch Cameras "
            "makes it.",
        ),
        Extrinsics.Input(
            "extrinsics",
            optional=True,
            tooltip="Rig cameras, in place of camera_info: world-to-camera matrices in OpenCV axes.",
        ),
        Intrinsics.Input(
            "intrinsics",
            optional=True,
            tooltip="Rig cameras: camera matrices in pixels, one for all cameras or one each. Without them, "
            "camera_info or fovy determine the focal length.",
        ),
    ]


def view_angles(azimuths: str, elevations: str) -> list[tuple[float, float]]:
    """Return azimuth and elevation of each view, degrees, from two lists separated by commas."""
    columns = numbers("azimuths", azimuths), numbers("elevations", elevations)
    counts = [len(column) for column in columns]
    if counts[0] != counts[1]:
        raise ValueError(
            f"views: {counts[0]} azimuths and {counts[1]} elevations; expected one of each per view."
        )
    return list(zip(*columns, strict=True))


def numbers(name: str, text: str) -> list[float]:
    """Return the numbers of a list separated by commas; raises ValueError with an item that is no number."""
    found = []
    for item in text.split(","):
        try:
            found.append(float(item))
        except ValueError:
            raise ValueError(
                f"{name}: {item.strip()!r} is not a number; expected numbers separated by commas."
            ) from None
    return found


@dataclass(frozen=True, kw_only=True)
class CustomRig:
    """The widgets of rig custom."""

    azimuths: str
    elevations: str
    fovy: float = DEFAULT_FOVY_DEG
    radius: float = DEFAULT_RADIUS
    projection: Projection = "pinhole"
    half_extent: float = HALF_EXTENT

    def rig(self) -> CameraRig:
        """Return the rig; raises ValueError for angles that do not match or are out of range."""
        angles = view_angles(self.azimuths, self.elevations)
        if self.projection == "pinhole":
            for azimuth, elevation in angles:
                OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation)
        rig = self._rig(angles)
        rig_cameras(rig, 1, 1)  # it refuses other elevations
        return rig

    def lens(self) -> CameraRig:
        """Return a rig without views: the projection of given cameras, and the video's camera."""
        return self._rig([])

    def _rig(self, angles: list[tuple[float, float]]) -> CameraRig:
        return CameraRig(
            azimuths_deg=tuple(azimuth for azimuth, _ in angles),
            elevations_deg=tuple(elevation for _, elevation in angles),
            projection=self.projection,
            fovy_deg=self.fovy,
            radius=self.radius,
            half_extent=self.half_extent,
        )
