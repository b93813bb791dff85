"""Poses, intrinsics and lens distortion as files of captures have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ...geometry import CameraAxes, check_distortion, viewmats_from_c2ws
from ...geometry.pose_json import finite_number

PIXEL_CENTER = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
"""Added to K of a calibration by OpenCV, where the center of the first pixel is at (0, 0)."""

_DISTORTION = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")


def intrinsics_matrix(fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    """Return K, float64 [3, 3], of focal lengths and principal point in pixels, pixel centers at +0.5."""
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)


def check_json_distortion(fields: Mapping[str, Any], subject: str) -> None:
    """Raise ValueError unless the coefficients k1 to k6, p1 and p2 of a JSON object are 0 or absent."""
    values = {name: fields[name] for name in _DISTORTION if fields.get(name) is not None}
    check_distortion(
        {name: finite_number(value, f"{subject}: {name}") for name, value in values.items()}, subject
    )


def viewmat_of_pose(c2w: np.ndarray, subject: str, axes: CameraAxes) -> np.ndarray:
    """Return the world-to-camera matrix of a pose.

    Args:
        c2w: [4, 4] camera-to-world.
        subject: The camera, for messages.
        axes: Its axes, ``opengl`` or ``opencv``.

    Returns:
        Float64 [4, 4] in the same world, OpenCV axes.

    Raises:
        ValueError: if the matrix is no rotation and position.
    """
    return viewmats_from_c2ws(torch.from_numpy(c2w)[None], [subject], axes)[0].numpy()
