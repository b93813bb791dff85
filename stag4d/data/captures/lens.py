"""Intrinsics and lens distortion as files of captures have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...geometry import check_distortion
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
