"""Orbit poses of cameras, with and without roll."""

from __future__ import annotations

import math

import pytest
import torch

from stag4d.geometry import (
    OrbitPose,
    intrinsics,
    nearest_orbit,
    orbit_viewmats,
    ortho_intrinsics,
    viewmats_from_angles,
)

K = intrinsics([40.0], 64, 48)[0]


def rolled(viewmat, degrees):
    """Return a camera turned about its optical axis."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = torch.tensor([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    return turn @ viewmat


@pytest.mark.parametrize("azimuth", [-170.0, 0.0, 30.0, 90.0, 175.0])
@pytest.mark.parametrize("elevation", [-89.0, -20.0, 0.0, 60.0])
def test_pose_of_an_orbit_camera_is_found(azimuth, elevation):
    pose = OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation, radius=2.5, fovy_deg=40.0)
    found = nearest_orbit(orbit_viewmats([pose])[0], K, 48)
    assert found.azimuth_deg == pytest.approx(azimuth, abs=1e-3)
    assert found.elevation_deg == pytest.approx(elevation, abs=1e-4)
    assert (found.radius, found.fovy_deg) == (pytest.approx(2.5), pytest.approx(40.0))


def test_orthographic_camera_gets_the_field_of_view_with_the_same_extent():
    viewmat = orbit_viewmats([OrbitPose(azimuth_deg=30.0, radius=3.0)])[0]
    found = nearest_orbit(viewmat, ortho_intrinsics([0.9], 64, 48)[0], 48, "ortho")
    assert 3.0 * math.tan(math.radians(found.fovy_deg) / 2) == pytest.approx(0.9)
    assert found.azimuth_deg == pytest.approx(30.0)


def test_small_roll_is_dropped_and_a_large_one_is_no_orbit():
    pose = OrbitPose(azimuth_deg=50.0, elevation_deg=20.0, fovy_deg=40.0)
    viewmat = orbit_viewmats([pose])[0]
    assert nearest_orbit(rolled(viewmat, 1.9), K, 48).elevation_deg == pytest.approx(20.0, abs=1e-4)
    assert nearest_orbit(rolled(viewmat, 2.1), K, 48) is None
    assert nearest_orbit(rolled(viewmat, 180.0), K, 48) is None


def test_camera_that_looks_past_the_origin_is_no_orbit():
    viewmat = orbit_viewmats([OrbitPose(azimuth_deg=50.0)])[0]
    beside, behind, inside = viewmat.clone(), viewmat.clone(), viewmat.clone()
    beside[0, 3] = 2 * math.tan(math.radians(2.1))
    behind[2, 3] = -2.0
    inside[2, 3] = 0.0
    assert [nearest_orbit(one, K, 48) for one in (beside, behind, inside)] == [None] * 3


def test_camera_straight_above_has_the_largest_elevation():
    viewmat = viewmats_from_angles([180.0], [90.0], [2.0])[0]
    found = nearest_orbit(viewmat, K, 48)
    assert abs(found.azimuth_deg) == pytest.approx(180.0, abs=1e-3)
    assert found.elevation_deg == 89.9


def test_field_of_view_out_of_range_is_no_orbit():
    viewmat = orbit_viewmats([OrbitPose(azimuth_deg=0.0)])[0]
    assert nearest_orbit(viewmat, intrinsics([0.5], 64, 48)[0], 48) is None
