"""The published Zero123++ rigs."""

from __future__ import annotations

import math

import pytest

from stag4d.geometry import (
    ZERO123PLUS_RIGS,
    OrbitPose,
    angle_between_deg,
    v11_rig_around,
    zero123plus_rig,
)


@pytest.mark.parametrize(
    ("version", "elevations", "fovy"),
    [("v1.1", [30, -20, 30, -20, 30, -20], 49.1), ("v1.2", [20, -10, 20, -10, 20, -10], 30.0)],
)
def test_rigs_have_the_published_poses_and_order(version, elevations, fovy):
    rig = zero123plus_rig(version)
    assert [pose.azimuth_deg for pose in rig] == [30, 90, 150, 210, 270, 330]
    assert [pose.elevation_deg for pose in rig] == elevations
    assert {pose.fovy_deg for pose in rig} == {fovy}


def test_rigs_of_both_versions_frame_the_same_extent():
    extents = [radius * math.tan(math.radians(fovy / 2)) for _, radius, fovy in ZERO123PLUS_RIGS.values()]
    assert extents == pytest.approx([0.913567] * 2, rel=1e-5)  # 2 tan(24.55 degrees)


def test_rig_azimuths_follow_the_input_and_elevations_do_not():
    turned, straight = zero123plus_rig("v1.1", input_azimuth_deg=300), zero123plus_rig()
    assert [pose.azimuth_deg for pose in turned] == [330, 30, 90, 150, 210, 270]
    assert [pose.elevation_deg for pose in turned] == [pose.elevation_deg for pose in straight]
    assert angle_between_deg(turned[0], turned[1]) == pytest.approx(
        angle_between_deg(straight[0], straight[1])
    )


def test_v11_rig_around_takes_radius_and_field_of_view_of_the_input():
    rig = v11_rig_around(OrbitPose(azimuth_deg=300, elevation_deg=5, radius=3.4, fovy_deg=30))
    assert [pose.azimuth_deg for pose in rig] == [330, 30, 90, 150, 210, 270]
    assert [pose.elevation_deg for pose in rig] == [30, -20, 30, -20, 30, -20]
    assert {(pose.radius, pose.fovy_deg) for pose in rig} == {(3.4, 30)}
    assert v11_rig_around(OrbitPose(azimuth_deg=0)) == zero123plus_rig("v1.1")


def test_unknown_version_is_refused_and_known_ones_are_listed():
    with pytest.raises(ValueError, match=r"unknown version 'v3'; expected one of \['v1.1', 'v1.2'\]"):
        zero123plus_rig("v3")
