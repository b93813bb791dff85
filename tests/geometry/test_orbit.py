"""Orbit cameras against hand-computed matrices."""

from __future__ import annotations

import math

import pytest
import torch

from stag4d.geometry import OrbitPose, angle_between_deg, intrinsics, nearest_poses, orbit_viewmats

HALF_SQRT3 = math.sqrt(3) / 2

# rows: the camera's right, down and forward in the world; the last column is the translation
BY_HAND = {
    "front": (0, 0, 2, [[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 2], [0, 0, 0, 1]]),
    "right": (90, 0, 3, [[0, 0, -1, 0], [0, -1, 0, 0], [-1, 0, 0, 3], [0, 0, 0, 1]]),
    "back": (180, 0, 2, [[-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 1, 2], [0, 0, 0, 1]]),
    "above": (0, 30, 2, [[1, 0, 0, 0], [0, -HALF_SQRT3, 0.5, 0], [0, -0.5, -HALF_SQRT3, 2], [0, 0, 0, 1]]),
    "right, above": (
        90, 30, 2, [[0, 0, -1, 0], [0.5, -HALF_SQRT3, 0, 0], [-HALF_SQRT3, -0.5, 0, 2], [0, 0, 0, 1]],
    ),
}  # fmt: skip


def pose(azimuth: float, elevation: float = 0.0, radius: float = 2.0) -> OrbitPose:
    return OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation, radius=radius)


@pytest.mark.parametrize(("azimuth", "elevation", "radius", "expected"), BY_HAND.values(), ids=BY_HAND)
def test_viewmats_equal_hand_computed_matrices(azimuth, elevation, radius, expected):
    viewmats = orbit_viewmats([pose(azimuth, elevation, radius)])
    torch.testing.assert_close(viewmats, torch.tensor([expected], dtype=torch.float32), atol=1e-6, rtol=0)


def test_rotations_are_proper_and_centers_lie_on_the_orbit():
    poses = [
        pose(azimuth, elevation, 1.5) for azimuth in (-170, -20, 10, 130) for elevation in (-89.9, -40, 60)
    ]
    viewmats = orbit_viewmats(poses).double()
    rotations = viewmats[:, :3, :3]
    identities = torch.eye(3, dtype=torch.float64).expand(len(poses), 3, 3)
    torch.testing.assert_close(rotations @ rotations.mT, identities, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        torch.linalg.det(rotations), torch.ones(12, dtype=torch.float64), atol=1e-6, rtol=0
    )
    centers = -(rotations.mT @ viewmats[:, :3, 3:])[..., 0]
    expected = [
        (
            1.5 * math.cos(math.radians(each.elevation_deg)) * math.sin(math.radians(each.azimuth_deg)),
            1.5 * math.sin(math.radians(each.elevation_deg)),
            1.5 * math.cos(math.radians(each.elevation_deg)) * math.cos(math.radians(each.azimuth_deg)),
        )
        for each in poses
    ]
    torch.testing.assert_close(centers, torch.tensor(expected, dtype=torch.float64), atol=1e-5, rtol=0)


def test_no_poses_give_empty_batches():
    assert orbit_viewmats([]).shape == (0, 4, 4)
    assert intrinsics([], 8, 8).shape == (0, 3, 3)


def test_intrinsics_equal_hand_computed_matrices():
    # tan(45 degrees) = 1, so the focal length is half the height; tan(30 degrees) = 1 / sqrt(3)
    expected = [
        [[50, 0, 100], [0, 50, 50], [0, 0, 1]],
        [[50 * math.sqrt(3), 0, 100], [0, 50 * math.sqrt(3), 50], [0, 0, 1]],
    ]
    torch.testing.assert_close(
        intrinsics([90.0, 60.0], 200, 100), torch.tensor(expected, dtype=torch.float32)
    )


@pytest.mark.parametrize(
    ("point", "pixel"),
    [((0, 0, 0), (32, 32)), ((0.5, 0, 0), (40, 32)), ((0, 0.5, 0), (32, 24)), ((0, 0, 1), (32, 32))],
    ids=["the origin in the middle", "+x on the right", "+y at the top", "+z in front"],
)
def test_input_camera_projects_known_points_to_known_pixels(point, pixel):
    # focal 32 at distance 2: half a unit is 8 pixels
    camera = orbit_viewmats([pose(0)])[0]
    projected = intrinsics([90.0], 64, 64)[0] @ (
        camera[:3, :3] @ torch.tensor(point, dtype=torch.float32) + camera[:3, 3]
    )
    torch.testing.assert_close(projected[:2] / projected[2], torch.tensor(pixel, dtype=torch.float32))


@pytest.mark.parametrize(
    ("first", "second", "angle"),
    [
        ((0, 0), (0, 0), 0.0),
        ((0, 0), (90, 0), 90.0),
        ((0, 0), (180, 0), 180.0),
        ((350, 0), (10, 0), 20.0),
        ((75, 30), (75, -20), 50.0),
        ((0, 0), (30, 30), math.degrees(math.acos(0.75))),  # cos 30 * cos 30
    ],
)
def test_angles_between_viewing_directions(first, second, angle):
    assert angle_between_deg(pose(*first), pose(*second)) == pytest.approx(angle, abs=1e-4)
    assert angle_between_deg(pose(*second), pose(*first)) == pytest.approx(angle, abs=1e-4)


def test_nearest_poses_include_all_ties():
    others = [pose(90, 0), pose(20, 0), pose(0, 50), pose(340, 0)]
    assert nearest_poses(pose(0, 0), others) == [1, 3]
    assert nearest_poses(pose(5, 0), others) == [1]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"azimuth_deg": math.nan}, "not finite"),
        ({"azimuth_deg": 0, "elevation_deg": math.inf}, "not finite"),
        ({"azimuth_deg": 0, "elevation_deg": 90}, "elevation 90"),
        ({"azimuth_deg": 0, "elevation_deg": -91}, "elevation -91"),
        ({"azimuth_deg": 0, "radius": 0}, "radius 0"),
        ({"azimuth_deg": 0, "radius": -2}, "radius -2"),
        ({"azimuth_deg": 0, "fovy_deg": 0.5}, "fovy 0.5"),
        ({"azimuth_deg": 0, "fovy_deg": 171}, "fovy 171"),
    ],
)
def test_pose_out_of_range_is_refused_with_its_value(fields, message):
    with pytest.raises(ValueError, match=f"camera pose: .*{message}"):
        OrbitPose(**fields)


def test_defaults_are_the_official_orbit():
    assert (pose(0).elevation_deg, pose(0).radius, pose(0).fovy_deg) == (0.0, 2.0, 49.1)
