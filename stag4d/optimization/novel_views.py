"""Random novel views: where regularizers and score distillation render what no given image shows."""

from __future__ import annotations

import torch

from ..geometry import OrbitPose

MAX_ELEVATION_DEG = 30.0  # official: SDS views lie within plus and minus 30 degrees


def random_poses(
    count: int, like: OrbitPose, generator: torch.Generator, max_elevation_deg: float = MAX_ELEVATION_DEG
) -> list[OrbitPose]:
    """Return random poses at the distance and field of view of another.

    Azimuths are uniform in [-180, 180) degrees, elevations within plus and minus the maximum.
    """
    uniform = torch.rand(count, 2, generator=generator) * 2 - 1  # [B, 2]
    return [
        OrbitPose(
            azimuth_deg=180 * azimuth,
            elevation_deg=max_elevation_deg * elevation,
            radius=like.radius,
            fovy_deg=like.fovy_deg,
        )
        for azimuth, elevation in uniform.tolist()
    ]
