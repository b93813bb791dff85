"""Trajectories through keyframes, against hand-computed values."""

from __future__ import annotations

import pytest

from stag4d.geometry import OrbitPose, keyframe_poses


def pose(azimuth: float, elevation: float = 0.0, radius: float = 2.0) -> OrbitPose:
    return OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation, radius=radius)


def test_trajectory_equals_hand_computed_monotone_cubic():
    path = keyframe_poses([pose(0, 0, 2), pose(90, 30, 2), pose(120, 0, 3)], 5)
    # slopes at the middle: 2 * 90 * 30 / 120 = 45; 0, as 30 and -30 differ in sign; 0, as the first step is 0
    assert [each.azimuth_deg for each in path] == pytest.approx([0, 50.625, 90, 106.875, 120])
    assert [each.elevation_deg for each in path] == pytest.approx([0, 18.75, 30, 18.75, 0])
    assert [each.radius for each in path] == pytest.approx([2, 2, 2, 2.375, 3])


def test_two_keyframes_are_interpolated_linearly_without_wrapping():
    path = keyframe_poses([pose(0), pose(720)], 5)
    assert [each.azimuth_deg for each in path] == pytest.approx([0, 180, 360, 540, 720])


def test_trajectory_does_not_overshoot_its_keyframes():
    path = keyframe_poses([pose(0, 89.9), pose(10, 89.9), pose(20, -89.9), pose(30, 0), pose(40, 89.9)], 401)
    elevations = [each.elevation_deg for each in path]
    assert set(elevations[:101]) == {89.9}
    assert sorted(elevations[100:201], reverse=True) == elevations[100:201]
    assert sorted(elevations[200:]) == elevations[200:]


def test_single_pose_or_single_keyframe_is_the_first_keyframe():
    assert keyframe_poses([pose(30), pose(60)], 1) == [pose(30)]
    assert keyframe_poses([pose(30)], 3) == [pose(30)] * 3


def test_trajectory_without_keyframes_is_refused():
    with pytest.raises(ValueError, match=r"^camera path: no keyframes; expected at least one\.$"):
        keyframe_poses([], 3)
