"""The view that the viewer saves: an orbit camera around a target point, and a video time."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .orbit import OrbitPose
from .pose_json import check_version, describe, finite_number, pose_from_json

VIEW_VERSION = 1
MAX_TARGET = 1e6  # world units; the camera is at most as far away again

Point = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class SavedView:
    """A camera on an orbit around a point, and a time.

    Attributes:
        pose: Direction, distance and field of view of the camera, relative to the target.
        target: Point in the world that the camera looks at, xyz.
        time: Video time, 0 to 1.
    """

    pose: OrbitPose
    target: Point = (0.0, 0.0, 0.0)
    time: float = 0.0

    def camera_info(self, aspect: float) -> dict[str, Any]:
        """Return the camera as a LOAD3D_CAMERA value; ``aspect`` is the image's width over its height."""
        azimuth, elevation = math.radians(self.pose.azimuth_deg), math.radians(self.pose.elevation_deg)
        level = math.cos(elevation)
        direction = (level * math.sin(azimuth), math.sin(elevation), level * math.cos(azimuth))
        steps = (self.pose.radius * part for part in direction)
        position = [point + step for point, step in zip(self.target, steps, strict=True)]
        return {
            "position": dict(zip("xyz", position, strict=True)),
            "target": dict(zip("xyz", self.target, strict=True)),
            "zoom": 1.0,
            "cameraType": "perspective",
            "fov": self.pose.fovy_deg,
            "aspect": aspect,
        }


def read_saved_view(text: str, input_pose: OrbitPose) -> SavedView:
    """Return the view in the viewer's JSON; an empty text stands for the input camera at time 0.

    Args:
        text: ``{"version": 1, "azimuth", "elevation", "radius", "target": [x, y, z], "fovy", "time"}``, in
            degrees and world units, or an empty text.
        input_pose: Camera of the input video.

    Raises:
        ValueError: if it is not such JSON, has a newer version, or a number is not finite or out of range.
    """
    if not text:
        return SavedView(pose=input_pose)
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"view: is not JSON ({error}); expected what the viewer saved.") from error
    if not isinstance(value, Mapping):
        raise ValueError(f"view: holds a {type(value).__name__}; expected what the viewer saved.")
    check_version(value, VIEW_VERSION, "view")
    for name in ("radius", "fovy"):  # optional in other JSON poses, required here
        finite_number(value.get(name), f"view.{name}")
    pose, time = pose_from_json(value, "view"), finite_number(value.get("time"), "view.time")
    if not 0 <= time <= 1:
        raise ValueError(f"view.time: {time:g}; expected 0 to 1.")
    return SavedView(pose=pose, target=_point(value.get("target")), time=time)


def _point(value: object) -> Point:
    """Return a JSON array of three finite numbers."""
    if not isinstance(value, list) or len(value) != 3:
        raise ValueError(f"view.target: {describe(value)}; expected three numbers.")
    x, y, z = (finite_number(number, f"view.target[{axis}]") for axis, number in enumerate(value))
    if max(abs(x), abs(y), abs(z)) > MAX_TARGET:
        raise ValueError(f"view.target: {describe(value)}; expected coordinates of at most {MAX_TARGET:g}.")
    return x, y, z
