"""Camera paths around the object, from angles or from cameras of ComfyUI's 3D nodes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from comfy_api.latest import io

from ..stag4d.geometry import (
    DEFAULT_FOVY_DEG,
    DEFAULT_RADIUS,
    OrbitPose,
    keyframe_poses,
    read_camera_infos,
    stack_cameras,
)
from ..stag4d.types import Cameras
from .host.camera_info import camera_info_output
from .host.sockets import CATEGORY_OUTPUT, CameraPath
from .host.validation import check_widgets


def _azimuth(name: str, default: float, tooltip: str) -> io.Float.Input:
    """Return an azimuth widget, degrees."""
    return io.Float.Input(name, default=default, min=-3600.0, max=3600.0, step=1.0, tooltip=tooltip)


def _elevation(name: str, default: float, tooltip: str) -> io.Float.Input:
    """Return an elevation widget, degrees."""
    return io.Float.Input(name, default=default, min=-89.0, max=89.0, step=1.0, tooltip=tooltip)


_AZIMUTH_TIP = "0 is the camera of the input video, 90 is to its right."
_TURNTABLE = [
    _elevation("elevation", 0.0, "Elevation of all cameras, degrees; negative ones look up from below."),
    _azimuth("azimuth_start", 0.0, f"Azimuth of the first camera, degrees: {_AZIMUTH_TIP}"),
    io.Float.Input(
        "turns",
        default=1.0,
        min=-100.0,
        max=100.0,
        step=0.25,
        tooltip="Number of full turns. A whole number makes a seamless loop; negative turns the other way.",
    ),
]
_ORBIT = [
    _azimuth("azimuth_start", 0.0, f"Azimuth of the first camera, degrees: {_AZIMUTH_TIP}"),
    _azimuth("azimuth_end", 90.0, "Azimuth of the last camera, degrees; beyond 360 is another turn."),
    _elevation("elevation_start", 0.0, "Elevation of the first camera, degrees."),
    _elevation("elevation_end", 0.0, "Elevation of the last camera, degrees."),
]
_KEYFRAMES = [
    io.String.Input(
        "keyframes",
        default="0, 0\n90, 30\n180, 0",
        multiline=True,
        tooltip="One camera per line: azimuth, elevation (degrees) and, optionally, a radius in place of the "
        "radius input. The path through them is smooth and evenly timed; azimuths beyond 360 are more turns.",
    ),
]
_CAMERA = [
    io.Load3DCamera.Input(
        "camera",
        tooltip="A camera of ComfyUI's 3D nodes, perspective or orthographic, or a list of them, one per "
        "image. It replaces radius, and fovy if it has a field of view; a list also replaces num_cameras.",
    ),
]


class STAG4DCameraPath(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DCameraPath",
            display_name="STAG4D Camera Path",
            category=CATEGORY_OUTPUT,
            description="Makes a path of cameras that look at the center of the scene, or takes cameras of "
            "ComfyUI's 3D nodes, for STAG4D Render.",
            search_aliases=["orbit", "turntable", "camera trajectory", "camera 4d", "orthographic"],
            inputs=[
                io.Int.Input("width", default=512, min=16, max=4096, step=8, tooltip="Image width, pixels."),
                io.Int.Input(
                    "height",
                    default=512,
                    min=16,
                    max=4096,
                    step=8,
                    tooltip="Image height, pixels, which fovy spans.",
                ),
                io.Int.Input(
                    "num_cameras",
                    default=32,
                    min=1,
                    max=4096,
                    tooltip="Cameras along the path, one image each. 1 is a still camera at the start of the "
                    "path, for which STAG4D Render makes one image per frame of the scene.",
                ),
                io.Float.Input(
                    "fovy",
                    default=DEFAULT_FOVY_DEG,
                    min=1.0,
                    max=120.0,
                    step=0.1,
                    tooltip="Vertical field of view, degrees. Smaller values show the object larger.",
                ),
                io.Float.Input(
                    "radius",
                    default=DEFAULT_RADIUS,
                    min=0.05,
                    max=100.0,
                    step=0.05,
                    tooltip="Distance from the object's center, scene units; usually 2.0 for input cameras.",
                ),
                io.DynamicCombo.Input(
                    "mode",
                    options=[
                        io.DynamicCombo.Option("turntable", _TURNTABLE),
                        io.DynamicCombo.Option("orbit", _ORBIT),
                        io.DynamicCombo.Option("keyframes", _KEYFRAMES),
                        io.DynamicCombo.Option("camera", _CAMERA),
                    ],
                    tooltip="turntable: full turns at one elevation, for loops. orbit: from one direction to "
                    "another, both included. keyframes: smoothly through several. camera: a still camera of "
                    "ComfyUI's 3D nodes, or a list of cameras.",
                ),
            ],
            outputs=[
                CameraPath.Output("cameras", tooltip="The cameras in order, for STAG4D Render."),
                io.Load3DCamera.Output(
                    "camera_info",
                    tooltip="The cameras for ComfyUI's 3D nodes: one camera, or a list of several.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, mode: Mapping[str, Any] | None = None, **values: Any) -> bool:
        """Raise ValueError for an invalid value.

        The host passes inputs of a dynamic combo's option to such a signature only. It would repeat a message
        that is returned once for each input, but reports an exception once.
        """
        check_widgets(cls, mode=mode, **values)
        if mode is None or mode["mode"] not in _POSES:
            return True
        known = {name: value for name, value in values.items() if value is not None}
        front = OrbitPose(
            azimuth_deg=0.0,
            radius=known.get("radius", DEFAULT_RADIUS),
            fovy_deg=known.get("fovy", DEFAULT_FOVY_DEG),
        )
        if None not in mode.values():
            _POSES[mode["mode"]](known.get("num_cameras", 1), front, mode)
        return True

    @classmethod
    def execute(
        cls, width: int, height: int, num_cameras: int, fovy: float, radius: float, mode: Mapping[str, Any]
    ) -> io.NodeOutput:
        if mode["mode"] == "camera":
            given = read_camera_infos(mode["camera"], width, height, fovy)
            viewmats, Ks, projection = stack_cameras(given * num_cameras if len(given) == 1 else given)
            cameras = Cameras(viewmats, Ks, width, height, projection)
        else:
            front = OrbitPose(azimuth_deg=0.0, radius=radius, fovy_deg=fovy)
            cameras = Cameras.from_poses(_POSES[mode["mode"]](num_cameras, front, mode), width, height)
        return io.NodeOutput(cameras, camera_info_output([cameras]))


def _turntable(count: int, front: OrbitPose, settings: Mapping[str, Any]) -> list[OrbitPose]:
    """Return poses of a turntable; the one after the last is the first of the next turn."""
    step = 360.0 * settings["turns"] / count
    return [
        replace(front, azimuth_deg=settings["azimuth_start"] + i * step, elevation_deg=settings["elevation"])
        for i in range(count)
    ]


def _orbit(count: int, front: OrbitPose, settings: Mapping[str, Any]) -> list[OrbitPose]:
    """Return evenly spaced poses from start to end, both included; a single one is at the start."""
    azimuths = np.linspace(settings["azimuth_start"], settings["azimuth_end"], count).tolist()
    elevations = np.linspace(settings["elevation_start"], settings["elevation_end"], count).tolist()
    return [
        replace(front, azimuth_deg=azimuth, elevation_deg=elevation)
        for azimuth, elevation in zip(azimuths, elevations, strict=True)
    ]


def _keyframes(count: int, front: OrbitPose, settings: Mapping[str, Any]) -> list[OrbitPose]:
    """Return a smooth path through the poses of the keyframes; raises ValueError for an invalid line."""
    lines = enumerate(settings["keyframes"].splitlines(), start=1)
    return keyframe_poses([_parse_pose(line, i, front) for i, line in lines if line.strip()], count)


def _parse_pose(line: str, number: int, front: OrbitPose) -> OrbitPose:
    """Return the pose for ``azimuth, elevation`` or ``azimuth, elevation, radius``."""
    try:
        azimuth, elevation, *rest = (float(part) for part in line.split(","))
        (radius,) = rest or [front.radius]
    except ValueError:
        raise ValueError(
            f"keyframes: line {number} is {line.strip()!r}; expected azimuth, elevation or azimuth, "
            "elevation, radius: two or three numbers separated by commas."
        ) from None
    try:
        return replace(front, azimuth_deg=azimuth, elevation_deg=elevation, radius=radius)
    except ValueError as error:
        raise ValueError(f"keyframes: line {number}: {error}") from error


_POSES = {"turntable": _turntable, "orbit": _orbit, "keyframes": _keyframes}
