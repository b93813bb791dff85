"""Camera trajectories through keyframes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .orbit import OrbitPose


def keyframe_poses(keyframes: Sequence[OrbitPose], count: int) -> list[OrbitPose]:
    """Return poses on a smooth trajectory through keyframes, evenly spaced in time, both ends included.

    Azimuth, elevation, radius and field of view are interpolated independently and without wrapping: azimuth
    0 to 720 is two full turns. The interpolation is monotone cubic (Fritsch and Butland, 1984): no value
    leaves the range of the two keyframes around it, and between two keyframes alone it is linear.

    Args:
        keyframes: K poses, at least one. One alone is repeated.
        count: Number of poses. A single one is the first keyframe.

    Raises:
        ValueError: if there are no keyframes.
    """
    if not keyframes:
        raise ValueError("camera path: no keyframes; expected at least one.")
    if len(keyframes) == 1:
        return [keyframes[0]] * count
    values = np.array([[p.azimuth_deg, p.elevation_deg, p.radius, p.fovy_deg] for p in keyframes])  # [K, 4]
    steps = np.diff(values, axis=0)  # [K - 1, 4]
    products, sums = steps[:-1] * steps[1:], steps[:-1] + steps[1:]
    # A harmonic mean, or 0 at a local extremum: this is what keeps the cubic from overshooting.
    inner = np.where(products > 0, 2 * products / np.where(sums == 0, 1, sums), 0)  # [K - 2, 4]
    slopes = np.concatenate([steps[:1], inner, steps[-1:]])  # [K, 4]
    positions = np.linspace(0, len(keyframes) - 1, count)  # in keyframes
    left = np.minimum(positions.astype(int), len(keyframes) - 2)
    t = (positions - left)[:, None]
    first, second = values[left], values[left + 1]
    path = first + steps[left] * t**2 * (3 - 2 * t)  # cubic Hermite
    path += slopes[left] * t * (1 - t) ** 2 - slopes[left + 1] * t**2 * (1 - t)
    path = np.clip(path, np.minimum(first, second), np.maximum(first, second))  # removes rounding errors
    return [
        OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation, radius=radius, fovy_deg=fovy)
        for azimuth, elevation, radius, fovy in path.tolist()
    ]
