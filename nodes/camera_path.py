"""Cameras around the object, from angles that a user can picture or from the host's 3D nodes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from comfy_api.latest import io

from ..stag4d.geometry import (
    DEFAULT_FOVY_DEG,
    DEFAULT_RADIUS,
    OrbitPose,
    intrinsics,
    keyframe_poses,
    read_camera_info,
)
from ..stag4d.types import Cameras
from .host.sockets import CATEGORY, CameraPath


def _azimuth(name: str, default: float, tooltip: str) -> io.Float.Input:
    """Return an azimuth widget, degrees."""
    return io.Float.Input(name, default=default, min=-3600.0, max=3600.0, step=1.0, tooltip=tooltip)


def _elevation(name: str, default: float, tooltip: str) -> io.Float.Input:
    """Return an elevation widget, degrees."""
    return io.Float.Input(name, default=default, min=-89.0, max=89.0, step=1.0, tooltip=tooltip)


_AZIMUTH_TIP = "0 is where the input video was filmed from, 90 is to that camera's right."
_TURNTABLE = [
    _elevation("elevation", 0.0, "Degrees above the object's middle; a negative camera looks up from below."),
    _azimuth("azimuth_start", 0.0, f"Degrees of the first camera: {_AZIMUTH_TIP}"),
    io.Float.Input(
        "turns",
        default=1.0,
        min=-100.0,
        max=100.0,
        step=0.25,
        tooltip="Full circles. A whole number loops without a jump; negative goes the other way.",
    ),
]
_ORBIT = [
    _azimuth("azimuth_start", 0.0, f"Degrees of the first camera: {_AZIMUTH_TIP}"),
    _azimuth("azimuth_end", 90.0, "Degrees of the last camera; beyond 360 the path goes around again."),
    _elevation("elevation_start", 0.0, "Degrees of the first camera above the object's middle."),
    _elevation("elevation_end", 0.0, "Degrees of the last camera above the object's middle."),
]
_KEYFRAMES = [
    io.String.Input(
        "keyframes",
        default="0, 0\n90, 30\n180, 0",
        multiline=True,
        tooltip="One camera a line: azimuth, elevation, and a radius if it is not the one above. The path is "
        "smooth and evenly timed; azimuths beyond 360 go around again.",
    ),
]
_CAMERA = [
    io.Load3DCamera.Input(
        "camera",
        tooltip="A camera of the host's 3D nodes. It replaces radius, and fovy if it has a field of view.",
    ),
]


class STAG4DCameraPath(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DCameraPath",
            display_name="STAG4D Camera Path",
            category=CATEGORY,
            description="Cameras that circle a scene and look at its middle, or a camera of the host's 3D "
            "nodes. One camera is a still one.",
            search_aliases=["orbit", "turntable", "camera 4d"],
            inputs=[
                io.Int.Input("width", default=512, min=16, max=4096, step=8, tooltip="Image width, pixels."),
                io.Int.Input(
                    "height",
                    default=512,
                    min=16,
                    max=4096,
                    step=8,
                    tooltip="Image height, pixels; the field of view is measured along it.",
                ),
                io.Int.Input(
                    "num_cameras",
                    default=32,
                    min=1,
                    max=4096,
                    tooltip="Cameras along the path, one image each. With 1 the camera stands still at the "
                    "start, and STAG4D Render plays the scene's own frames before it.",
                ),
                io.Float.Input(
                    "fovy",
                    default=DEFAULT_FOVY_DEG,
                    min=1.0,
                    max=120.0,
                    step=0.1,
                    tooltip="Vertical field of view, degrees. Smaller makes the object larger and flatter.",
                ),
                io.Float.Input(
                    "radius",
                    default=DEFAULT_RADIUS,
                    min=0.05,
                    max=100.0,
                    step=0.05,
                    tooltip="Distance from the object's middle, scene units. Scenes are fitted at 2.0.",
                ),
                io.DynamicCombo.Input(
                    "mode",
                    options=[
                        io.DynamicCombo.Option("turntable", _TURNTABLE),
                        io.DynamicCombo.Option("orbit", _ORBIT),
                        io.DynamicCombo.Option("keyframes", _KEYFRAMES),
                        io.DynamicCombo.Option("camera", _CAMERA),
                    ],
                    tooltip="turntable: circles at one height, made to loop. orbit: from one direction to "
                    "another, both included. keyframes: smoothly through several. camera: one still camera "
                    "of the host.",
                ),
            ],
            outputs=[CameraPath.Output("cameras", tooltip="The cameras in order, for STAG4D Render.")],
        )

    @classmethod
    def execute(
        cls, width: int, height: int, num_cameras: int, fovy: float, radius: float, mode: Mapping[str, Any]
    ) -> io.NodeOutput:
        if mode["mode"] == "camera":
            viewmat, fovy = read_camera_info(mode["camera"], fovy)
            viewmats, Ks = viewmat.repeat(num_cameras, 1, 1), intrinsics([fovy] * num_cameras, width, height)
            return io.NodeOutput(Cameras(viewmats, Ks, width, height))
        front = OrbitPose(azimuth_deg=0.0, radius=radius, fovy_deg=fovy)
        return io.NodeOutput(
            Cameras.from_poses(_POSES[mode["mode"]](num_cameras, front, mode), width, height)
        )


def _turntable(count: int, front: OrbitPose, settings: Mapping[str, Any]) -> list[OrbitPose]:
    """Return the poses of a turn whose end is the next turn's start."""
    step = 360.0 * settings["turns"] / count
    return [
        replace(front, azimuth_deg=settings["azimuth_start"] + i * step, elevation_deg=settings["elevation"])
        for i in range(count)
    ]


def _orbit(count: int, front: OrbitPose, settings: Mapping[str, Any]) -> list[OrbitPose]:
    """Return poses from start to end, both included; a single camera is at the start."""
    azimuths = np.linspace(settings["azimuth_start"], settings["azimuth_end"], count).tolist()
    elevations = np.linspace(settings["elevation_start"], settings["elevation_end"], count).tolist()
    return [
        replace(front, azimuth_deg=azimuth, elevation_deg=elevation)
        for azimuth, elevation in zip(azimuths, elevations, strict=True)
    ]


def _keyframes(count: int, front: OrbitPose, settings: Mapping[str, Any]) -> list[OrbitPose]:
    """Return a smooth path through the poses of the text's lines; raises ValueError naming a bad line."""
    lines = enumerate(settings["keyframes"].splitlines(), start=1)
    return keyframe_poses([_parse_pose(line, i, front) for i, line in lines if line.strip()], count)


def _parse_pose(line: str, number: int, front: OrbitPose) -> OrbitPose:
    """Return the pose of ``azimuth, elevation`` or ``azimuth, elevation, radius``."""
    try:
        azimuth, elevation, *rest = (float(part) for part in line.split(","))
        (radius,) = rest or [front.radius]
    except ValueError:
        raise ValueError(
            f"keyframes: line {number} is {line.strip()!r}; expected azimuth, elevation or azimuth, "
            "elevation, radius: two or three numbers with commas between."
        ) from None
    try:
        return replace(front, azimuth_deg=azimuth, elevation_deg=elevation, radius=radius)
    except ValueError as error:
        raise ValueError(f"keyframes: line {number}: {error}") from error


_POSES = {"turntable": _turntable, "orbit": _orbit, "keyframes": _keyframes}
