"""Cameras that look at a point or have a quaternion, against orbit cameras and hand-computed values."""

from __future__ import annotations

import math

import pytest
import torch

from stag4d.geometry import (
    OrbitPose,
    look_at_viewmat,
    orbit_viewmats,
    quat_viewmat,
)

ORIGIN = (0.0, 0.0, 0.0)
HALF_SQRT2 = math.sqrt(2) / 2


def pose(azimuth: float, elevation: float = 0.0, radius: float = 2.0) -> OrbitPose:
    return OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation, radius=radius)


def center(viewmat):
    return -viewmat[:3, :3].T @ viewmat[:3, 3]


def orbit_quat_xyzw(azimuth, elevation):
    """Return the rotation about x by minus the elevation, then about y by the azimuth."""
    half_az, half_el = math.radians(azimuth) / 2, -math.radians(elevation) / 2
    sin_az, cos_az, sin_el, cos_el = (
        math.sin(half_az),
        math.cos(half_az),
        math.sin(half_el),
        math.cos(half_el),
    )
    return (cos_az * sin_el, sin_az * cos_el, -sin_az * sin_el, cos_az * cos_el)


@pytest.mark.parametrize("azimuth", [-170, 0, 30, 90, 215, 725])
@pytest.mark.parametrize("elevation", [-85, -20, 0, 60])
def test_look_at_and_quaternion_cameras_on_an_orbit_equal_the_orbit_camera(azimuth, elevation):
    expected = orbit_viewmats([pose(azimuth, elevation, 1.5)])[0]
    position = center(expected.double()).tolist()
    from_target = look_at_viewmat(position, ORIGIN)
    from_quat = quat_viewmat(position, orbit_quat_xyzw(azimuth, elevation))
    torch.testing.assert_close(from_target, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(from_quat, expected, atol=1e-5, rtol=0)


def test_look_at_off_the_orbit_equals_hand_computed_matrix():
    # at (3, 1, 5) looking along -x: right is -z, down is -y
    expected = [[0, 0, -1, 5], [0, -1, 0, 1], [-1, 0, 0, 3], [0, 0, 0, 1]]
    found = look_at_viewmat((3.0, 1.0, 5.0), (-4.0, 1.0, 5.0))
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32), atol=1e-6, rtol=0)


def test_quaternion_of_any_length_rolls_the_camera():
    # a quarter turn about the viewing axis: the camera's right is the world's up, its down the world's right
    expected = [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 2], [0, 0, 0, 1]]
    for length in (1.0, 3.0):
        quat = (0.0, 0.0, HALF_SQRT2 * length, HALF_SQRT2 * length)
        found = quat_viewmat((0.0, 0.0, 2.0), quat)
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32), atol=1e-6, rtol=0)


@pytest.mark.parametrize("side", [1.0, -1.0], ids=["above", "below"])
def test_camera_straight_above_or_below_has_right_axis_x(side):
    expected = [[1, 0, 0, 0], [0, 0, side, 0], [0, -side, 0, 2], [0, 0, 0, 1]]
    found = look_at_viewmat((0.0, 2 * side, 0.0), ORIGIN)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: look_at_viewmat((1.0, 2.0, 3.0), (1.0, 2.0, 3.0)),
            r"^camera: position and target are both \(1\.0, 2\.0, 3\.0\); expected distinct points\.$",
        ),
        (
            lambda: look_at_viewmat((math.nan, 0.0, 0.0), ORIGIN),
            r"^camera: position is \(nan, 0\.0, 0\.0\); expected finite numbers\.$",
        ),
        (
            lambda: look_at_viewmat(ORIGIN, (0.0, math.inf, 0.0)),
            r"^camera: target is \(0\.0, inf, 0\.0\); expected finite numbers\.$",
        ),
        (
            lambda: quat_viewmat(ORIGIN, (0.0, 0.0, 0.0, math.nan)),
            r"^camera: quaternion is \(0\.0, 0\.0, 0\.0, nan\); expected finite numbers\.$",
        ),
        (
            lambda: quat_viewmat(ORIGIN, (0.0, 0.0, 0.0, 0.0)),
            r"^camera: quaternion is zero; expected a rotation\.$",
        ),
    ],
)
def test_degenerate_or_non_finite_camera_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
