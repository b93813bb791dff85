"""LOAD3D_CAMERA values: one and several, perspective and orthographic, and the values of cameras."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from camera_vectors import VECTORS, assert_close, tensor

from stag4d.geometry import (
    OrbitPose,
    camera_info,
    intrinsics,
    orbit_viewmats,
    ortho_intrinsics,
    project_points,
    quat_viewmat,
    read_camera_info,
    read_camera_infos,
    stack_cameras,
)

IN_FRONT = {"position": {"x": 0, "y": 0, "z": 2}, "target": {"x": 0, "y": 0, "z": 0}}
ORTHO = {**IN_FRONT, "cameraType": "orthographic"}
CASES = VECTORS["load3d_camera"]["cases"]


def test_camera_info_gives_target_and_field_of_view():
    viewmat, fovy = read_camera_info({**IN_FRONT, "fov": 35, "zoom": 1, "cameraType": "perspective"}, 49.1)
    torch.testing.assert_close(viewmat, orbit_viewmats([OrbitPose(azimuth_deg=0.0)])[0])
    assert fovy == pytest.approx(35)


def test_camera_info_quaternion_takes_precedence_over_target():
    camera = {**IN_FRONT, "quaternion": {"x": 0, "y": 1, "z": 0, "w": 0}}  # it looks away from the target
    viewmat, _ = read_camera_info(camera, 49.1)
    expected = [[-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 1, -2], [0, 0, 0, 1]]
    torch.testing.assert_close(viewmat, torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize("absent", [{}, {"fov": None, "zoom": None}, {"fov": 0, "zoom": 0, "quaternion": {}}])
def test_camera_info_without_fov_and_zoom_uses_the_defaults(absent):
    viewmat, fovy = read_camera_info({**IN_FRONT, **absent}, 49.1)
    torch.testing.assert_close(viewmat, orbit_viewmats([OrbitPose(azimuth_deg=0.0)])[0])
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


@pytest.mark.parametrize("vector", CASES, ids=lambda vector: f"{vector['projection']}-{vector['width']}")
def test_cameras_equal_the_vectors(vector):
    (camera,) = read_camera_infos(
        vector["camera_info"], vector["width"], vector["height"], fov_axis=vector["fov_axis"]
    )
    assert camera.projection == vector["projection"]
    assert_close(camera.viewmat, vector["viewmat"])
    assert_close(camera.K, vector["K"])
    pixels, depths = project_points(
        tensor(vector["points"]), camera.viewmat.double(), camera.K.double(), camera.projection
    )
    assert_close(pixels, vector["uv"], atol=2e-4)  # float32 cameras
    assert_close(depths, vector["z"])


def test_list_is_one_camera_per_image_in_order():
    values = [vector["camera_info"] for vector in CASES]
    cameras = read_camera_infos(values, 512, 512)
    singles = [read_camera_infos(value, 512, 512)[0] for value in values]
    assert [camera.projection for camera in cameras] == ["pinhole"] * 4 + ["ortho"] * 2
    for found, expected in zip(cameras, singles, strict=True):
        assert torch.equal(found.viewmat, expected.viewmat)
        assert torch.equal(found.K, expected.K)


def test_cameras_are_stacked_unless_their_projections_differ():
    cameras = read_camera_infos([IN_FRONT, IN_FRONT, ORTHO], 64, 32)
    viewmats, Ks, projection = stack_cameras(cameras[:2])
    assert (viewmats.shape, Ks.shape, projection) == ((2, 4, 4), (2, 3, 3), "pinhole")
    with pytest.raises(
        ValueError, match=r"^cameras: 2 perspective and 1 orthographic ones; expected a single"
    ):
        stack_cameras(cameras)


def test_orthographic_field_of_view_spans_the_smaller_side_at_the_target():
    value = {**ORTHO, "fov": 90, "zoom": 2}  # half extent 2 tan 45 / 2 = 1
    for width, height in ((64, 32), (32, 64)):
        (camera,) = read_camera_infos(value, width, height)
        assert_close(camera.K, [[16, 0, width / 2], [0, 16, height / 2], [0, 0, 1]])


def test_orthographic_camera_without_fov_has_the_default_one():
    (camera,) = read_camera_infos(ORTHO, 64, 64, default_fovy_deg=90.0)
    assert camera.K[0, 0].item() == pytest.approx(16)  # 64 pixels span 4 units


def test_orthographic_camera_with_a_quaternion_and_no_target_spans_it_one_unit_ahead():
    value = {"position": IN_FRONT["position"], "quaternion": {"x": 0, "y": 0, "z": 0, "w": 1}}
    (camera,) = read_camera_infos({**value, "cameraType": "Orthographic", "fov": 90}, 64, 64)
    assert camera.K[0, 0].item() == pytest.approx(32)


def test_off_center_frustum_of_another_aspect_ratio_keeps_its_vertical_extent():
    frustum = {"left": -1.0, "right": 3.0, "top": 2.0, "bottom": 0.0}
    (camera,) = read_camera_infos({**ORTHO, "frustum": frustum}, 64, 64)
    # 32 pixels per unit; the middle of the frustum, (1, 1), is the center of the image
    assert_close(camera.K, [[32, 0, 32 - 32], [0, 32, 32 + 32], [0, 0, 1]])


@pytest.mark.parametrize("fov_axis", ["vertical", "smaller"])
def test_side_of_the_field_of_view_matters_to_portrait_images_only(fov_axis):
    for width, height in ((64, 64), (64, 32)):
        (camera,) = read_camera_infos({**IN_FRONT, "fov": 90}, width, height, fov_axis=fov_axis)
        assert camera.K[1, 1].item() == pytest.approx(height / 2)
    (camera,) = read_camera_infos({**IN_FRONT, "fov": 90}, 32, 64, fov_axis=fov_axis)
    assert camera.K[1, 1].item() == pytest.approx({"vertical": 32, "smaller": 16}[fov_axis])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"^camera: a list of 0; expected 1 to 4096 cameras\.$"),
        ([IN_FRONT, [IN_FRONT]], r"^cameras\[1\]: camera: \[.*; expected a camera with a position"),
        ([IN_FRONT, {**IN_FRONT, "fov": -1}], r"^cameras\[1\]: camera: fov -1 degrees; expected more than 0"),
        ("front", r"^camera: 'front'; expected a camera with a position and a target\.$"),
        ({**ORTHO, "fov": 180}, r"^camera: fov 180 degrees; expected more than 0"),
        ({**ORTHO, "zoom": -1}, r"^camera: zoom -1; expected a positive number\.$"),
        (
            {**ORTHO, "zoom": 1e300},
            r"^camera: orthographic with a half extent of 9.1\d*e-301; expected 1e-06",
        ),
        (
            {**ORTHO, "frustum": [1]},
            r"^camera: frustum without sides; expected left, right, top and bottom\.$",
        ),
        (
            {**ORTHO, "frustum": {"left": 0}},
            r"^camera: frustum.right must be a finite number, not nothing\.$",
        ),
        (
            {**ORTHO, "frustum": {"left": 1, "right": -1, "top": 1, "bottom": -1}},
            r"^camera: frustum from 1 to -1 and from -1 to 1; expected left < right and bottom < top\.$",
        ),
        (
            {**ORTHO, "frustum": {"left": -1e300, "right": 1e300, "top": 1, "bottom": -1}},
            r"^camera: frustum from -1e\+300 to 1e\+300 and from -1 to 1; expected at most 1e\+07\.$",
        ),
    ],
)
def test_invalid_cameras_are_refused(value, message):
    with pytest.raises(ValueError, match=message):
        read_camera_infos(value, 64, 64)


ROLLED = quat_viewmat((1.0, 2.0, 3.0), (0.1, 0.5, -0.3, 0.8))


@pytest.mark.parametrize("viewmat", [ROLLED, orbit_viewmats([OrbitPose(azimuth_deg=70.0)])[0]])
@pytest.mark.parametrize(("width", "height"), [(64, 48), (48, 64)])
@pytest.mark.parametrize("projection", ["pinhole", "ortho"])
def test_value_of_a_camera_gives_the_camera(viewmat, width, height, projection):
    K = (
        intrinsics([40.0], width, height)
        if projection == "pinhole"
        else ortho_intrinsics([1.5], width, height)
    )[0]
    value = camera_info(viewmat, K, width, height, projection)
    before = copy.deepcopy(value)
    (found,) = read_camera_infos(value, width, height)
    assert value == before
    assert found.projection == projection
    torch.testing.assert_close(found.viewmat, viewmat, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.K, K, atol=1e-4, rtol=0)


def test_value_of_an_orbit_camera_targets_the_origin():
    viewmat = orbit_viewmats([OrbitPose(azimuth_deg=90.0, elevation_deg=30.0)])[0]
    value = camera_info(viewmat, intrinsics([40.0], 64, 32)[0], 64, 32)
    assert value["target"] == pytest.approx({"x": 0, "y": 0, "z": 0}, abs=1e-6)
    assert value["position"] == pytest.approx({"x": math.sqrt(3), "y": 1, "z": 0}, abs=1e-6)
    assert (value["fov"], value["aspect"]) == (pytest.approx(40), pytest.approx(2))
    assert (value["zoom"], value["cameraType"]) == (1.0, "perspective")


def test_value_of_an_off_center_orthographic_camera_has_its_frustum():
    K = tensor([[32.0, 0, 0], [0, 32, 64], [0, 0, 1]])
    value = camera_info(orbit_viewmats([OrbitPose(azimuth_deg=0.0)])[0], K, 64, 64, "ortho")
    assert value["frustum"] == {"left": 0.0, "right": 2.0, "top": 2.0, "bottom": 0.0}


def test_field_of_view_of_an_orthographic_value_spans_the_same_at_its_target():
    """As nodes compute it that do not read the frustum."""
    K = ortho_intrinsics([1.5], 48, 64)[0]
    value = camera_info(ROLLED, K, 48, 64, "ortho")
    del value["frustum"]
    (found,) = read_camera_infos(value, 48, 64)
    torch.testing.assert_close(found.K, K, atol=1e-4, rtol=0)
