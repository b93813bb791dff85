"""Cameras around the object, from angles that a user can picture."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from comfy_api.latest import io

from ..stag4d.geometry import DEFAULT_FOVY_DEG, DEFAULT_RADIUS, OrbitPose
from ..stag4d.types import Cameras
from .sockets import CATEGORY, CameraPath


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


class STAG4DCameraPath(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DCameraPath",
            display_name="STAG4D Camera Path",
            category=CATEGORY,
            description="Cameras that circle a scene and look at its middle. One camera is a still one.",
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
                    ],
                    tooltip="turntable: circles at one height, made to loop. orbit: from one direction to "
                    "another, both included.",
                ),
            ],
            outputs=[CameraPath.Output("cameras", tooltip="The cameras in order, for STAG4D Render.")],
        )

    @classmethod
    def execute(
        cls, width: int, height: int, num_cameras: int, fovy: float, radius: float, mode: Mapping[str, Any]
    ) -> io.NodeOutput:
        angles = _ANGLES[mode["mode"]](num_cameras, mode)
        poses = [
            OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation, radius=radius, fovy_deg=fovy)
            for azimuth, elevation in angles
        ]
        return io.NodeOutput(Cameras.from_poses(poses, width, height))


def _turntable(count: int, settings: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Return azimuths and elevations of a turn whose end is the next turn's start."""
    step = 360.0 * settings["turns"] / count
    return [(settings["azimuth_start"] + index * step, settings["elevation"]) for index in range(count)]


def _orbit(count: int, settings: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Return azimuths and elevations from start to end, both included; a single camera is at the start."""
    azimuths = np.linspace(settings["azimuth_start"], settings["azimuth_end"], count)
    elevations = np.linspace(settings["elevation_start"], settings["elevation_end"], count)
    return list(zip(azimuths.tolist(), elevations.tolist(), strict=True))


_ANGLES = {"turntable": _turntable, "orbit": _orbit}
