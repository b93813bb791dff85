"""Cameras that look at a point or have a quaternion, against orbit cameras and hand-computed values."""

from __future__ import annotations

import math

import pytest
import torch

from stag4d.geometry import (
    OrbitPose,
    keyframe_poses,
    look_at_viewmat,
    orbit_viewmats,
    quat_viewmat,
    read_camera_info,
)

ORIGIN = (0.0, 0.0, 0.0)
HALF_SQRT2 = math.sqrt(2) / 2
IN_FRONT = {"position": {"x": 0, "y": 0, "z": 2}, "target": {"x": 0, "y": 0, "z": 0}}


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


def test_camera_info_gives_target_and_field_of_view():
    viewmat, fovy = read_camera_info({**IN_FRONT, "fov": 35, "zoom": 1, "cameraType": "perspective"}, 49.1)
    torch.testing.assert_close(viewmat, orbit_viewmats([pose(0)])[0])
    assert fovy == pytest.approx(35)


def test_camera_info_quaternion_takes_precedence_over_target():
    camera = {**IN_FRONT, "quaternion": {"x": 0, "y": 1, "z": 0, "w": 0}}  # it looks away from the target
    viewmat, _ = read_camera_info(camera, 49.1)
    expected = [[-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 1, -2], [0, 0, 0, 1]]
    torch.testing.assert_close(viewmat, torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize("absent", [{}, {"fov": None, "zoom": None}, {"fov": 0, "zoom": 0, "quaternion": {}}])
def test_camera_info_without_fov_and_zoom_uses_the_defaults(absent):
    viewmat, fovy = read_camera_info({**IN_FRONT, **absent}, 49.1)
    torch.testing.assert_close(viewmat, orbit_viewmats([pose(0)])[0])
    assert fovy == pytest.approx(49.1)


def test_zoom_multiplies_the_focal_length():
    _, fovy = read_camera_info({**IN_FRONT, "fov": 90, "zoom": 2}, 49.1)  # half angle: tan 45 / 2
    assert fovy == pytest.approx(2 * math.degrees(math.atan(0.5)))


@pytest.mark.parametrize(
    ("camera", "message"),
    [
        (None, "^camera: None; expected a camera with a position and a target.$"),
        ({**IN_FRONT, "cameraType": "orthographic"}, "^camera: orthographic; expected perspective.$"),
        ({"target": IN_FRONT["target"]}, "^camera: no position; expected one with x, y, z.$"),
        ({"position": IN_FRONT["position"]}, "^camera: no target; expected one with x, y, z.$"),
        ({**IN_FRONT, "quaternion": [0, 0, 0, 1]}, "^camera: no quaternion; expected one with x, y, z, w.$"),
        (
            {**IN_FRONT, "position": {"x": 0, "y": math.inf, "z": 0}},
            "^camera: position.y must be a finite number, not Infinity.$",
        ),
        (
            {**IN_FRONT, "target": {"x": 0, "y": 0}},
            "^camera: target.z must be a finite number, not nothing.$",
        ),
        ({**IN_FRONT, "fov": math.nan}, "^camera: fov must be a finite number, not NaN.$"),
        ({**IN_FRONT, "fov": 180}, "^camera: fov 180 degrees; expected more than 0 and less than 180.$"),
        ({**IN_FRONT, "fov": -1}, "^camera: fov -1 degrees; expected more than 0 and less than 180.$"),
        ({**IN_FRONT, "zoom": -2}, "^camera: zoom -2; expected a positive number.$"),
        (
            {**IN_FRONT, "position": {"x": 0, "y": 1e300, "z": 0}},
            r"^camera: position is \(0\.0, 1e\+300, 0\.0\); expected at most 1e\+07\.$",
        ),
        (
            {**IN_FRONT, "zoom": 1e300},
            r"^camera: fov 49\.1 degrees with zoom 1e\+300; expected a pinhole",
        ),
        ({**IN_FRONT, "zoom": 1e-300}, r"^camera: fov 49\.1 degrees with zoom 1e-300; expected a pinhole"),
        ({**IN_FRONT, "fov": 1e-300}, r"^camera: fov 1e-300 degrees with zoom 1; expected a pinhole camera"),
        ({**IN_FRONT, "zoom": "far"}, '^camera: zoom must be a finite number, not "far".$'),
    ],
)
def test_invalid_camera_info_is_refused(camera, message):
    with pytest.raises(ValueError, match=message):
        read_camera_info(camera, 49.1)


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
