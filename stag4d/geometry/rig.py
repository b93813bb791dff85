"""The Zero123++ camera rigs: poses of the six generated views around the input.

Published: azimuths 30 to 330 in steps of 60 relative to the input; elevations absolute, alternating (v1.1:
+30/-20, v1.2: +20/-10, camera above positive). v1.1 follows the input's field of view; v1.2 fixes 30 degrees.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

from .orbit import DEFAULT_FOVY_DEG, DEFAULT_RADIUS, OrbitPose

RigName = Literal["v1.1", "v1.2"]

_AZIMUTHS_DEG = (30.0, 90.0, 150.0, 210.0, 270.0, 330.0)
_V12_FOVY_DEG = 30.0
# At 30 degrees the radius is such that the frame spans the same extent at the origin as 49.1 degrees at 2.0.
_V12_RADIUS = (
    DEFAULT_RADIUS * math.tan(math.radians(DEFAULT_FOVY_DEG / 2)) / math.tan(math.radians(_V12_FOVY_DEG / 2))
)

ZERO123PLUS_RIGS: dict[RigName, tuple[tuple[float, float], float, float]] = {
    "v1.1": ((30.0, -20.0), DEFAULT_RADIUS, DEFAULT_FOVY_DEG),
    "v1.2": ((20.0, -10.0), _V12_RADIUS, _V12_FOVY_DEG),
}
"""Per version: the two alternating elevations (degrees), the radius (world units) and the fovy (degrees)."""


def zero123plus_rig(version: RigName = "v1.1", input_azimuth_deg: float = 0.0) -> tuple[OrbitPose, ...]:
    """Return the six poses of a Zero123++ version in the order of the 3x2 grid, row by row.

    Args:
        version: ``"v1.1"`` or ``"v1.2"``.
        input_azimuth_deg: Azimuth of the input camera, degrees; the rig turns with it.

    Returns:
        Six poses.

    Raises:
        ValueError: if the version is unknown.
    """
    if version not in ZERO123PLUS_RIGS:
        raise ValueError(
            f"Zero123++ rig: unknown version {version!r}; expected one of {sorted(ZERO123PLUS_RIGS)}."
        )
    elevations, radius, fovy_deg = ZERO123PLUS_RIGS[version]
    return tuple(
        OrbitPose(
            azimuth_deg=(input_azimuth_deg + azimuth) % 360.0,
            elevation_deg=elevations[index % 2],
            radius=radius,
            fovy_deg=fovy_deg,
        )
        for index, azimuth in enumerate(_AZIMUTHS_DEG)
    )


def v11_rig_around(input_pose: OrbitPose) -> tuple[OrbitPose, ...]:
    """Return the v1.1 rig around an input camera, with its azimuth, radius and field of view."""
    rig = zero123plus_rig("v1.1", input_pose.azimuth_deg)
    return tuple(replace(pose, radius=input_pose.radius, fovy_deg=input_pose.fovy_deg) for pose in rig)
