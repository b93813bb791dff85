"""LOAD3D_CAMERA values of cameras, for ComfyUI's 3D nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .projection import Projection
from .quaternions import rotations_to_quats


def camera_info(
    viewmat: Tensor, K: Tensor, width: int, height: int, projection: Projection = "pinhole"
) -> dict[str, Any]:
    """Return a camera as a LOAD3D_CAMERA value.

    A perspective value has no principal point: one off the center of the image is lost. An orthographic value
    has ``frustum``, and ``fov`` for nodes that compute the extent from that.

    Args:
        viewmat: [4, 4] world-to-camera, OpenCV axes.
        K: [3, 3] intrinsics, pixels.
        width: Image width, pixels.
        height: Image height, pixels.
        projection: "pinhole" or "ortho".

    Returns:
        ``position``, ``target`` at the depth of the origin, ``quaternion``, ``zoom``, ``cameraType``,
        ``fov``, and ``aspect`` or ``frustum``.
    """
    rotation, translation = viewmat[:3, :3].double().cpu(), viewmat[:3, 3].double().cpu()
    (fx, _, cx), (_, fy, cy), _ = K.double().tolist()
    position = -rotation.T @ translation
    distance = translation[2].item() if translation[2] > 0 else 1.0
    # Columns right, up, backward: the axes of three.js in the world.
    axes = rotation.T * torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)
    w, *xyz = rotations_to_quats(axes).tolist()
    info: dict[str, Any] = {
        "position": _named("xyz", position.tolist()),
        "target": _named("xyz", (position + distance * rotation[2]).tolist()),
        "quaternion": _named("xyzw", [*xyz, w]),
        "zoom": 1.0,
    }
    if projection == "pinhole":
        fov_deg = math.degrees(2 * math.atan(height / (2 * fy)))
        aspect = width * fy / (height * fx)
        return {**info, "cameraType": "perspective", "fov": fov_deg, "aspect": aspect}
    half_extent = min(width / (2 * fx), height / (2 * fy))  # of the smaller side, as Render Splat takes it
    frustum = {
        "left": -cx / fx,
        "right": (width - cx) / fx,
        "top": cy / fy,
        "bottom": (cy - height) / fy,
    }
    fov_deg = math.degrees(2 * math.atan(half_extent / distance))
    return {**info, "cameraType": "orthographic", "fov": fov_deg, "frustum": frustum}


def _named(axes: str, values: Sequence[float]) -> dict[str, float]:
    """Return numbers by axis, as LOAD3D_CAMERA has them."""
    return dict(zip(axes, values, strict=True))
