"""Checks of cameras: what is refused, by name, and what is repaired."""

from __future__ import annotations

import math

import pytest
import torch

from stag4d.geometry import (
    OrbitPose,
    check_camera_model,
    check_distortion,
    check_intrinsics,
    check_origin_in_front,
    check_viewmats,
    intrinsics,
    orbit_viewmats,
)

NAME = ["view 2, frame 5"]
VIEWMAT = orbit_viewmats([OrbitPose(azimuth_deg=30.0, elevation_deg=20.0)])


def changed(*changes, matrix=VIEWMAT):
    """Return a batch of one matrix with entries (row, column, value) changed."""
    copy = matrix.clone()
    for row, column, value in changes:
        copy[0, row, column] = value
    return copy


def test_float32_rotations_are_unchanged_to_the_bit():
    viewmats = orbit_viewmats([OrbitPose(azimuth_deg=7.0 * i, elevation_deg=i) for i in range(-50, 50)])
    assert torch.equal(check_viewmats(viewmats, ["camera"] * 100), viewmats)


def test_rounded_rotation_is_made_orthonormal_once():
    rounded = (VIEWMAT.double() * 1e4).round() / 1e4
    found = check_viewmats(rounded, NAME)
    rotation = found[0, :3, :3]
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(found, rounded, atol=1e-4, rtol=0)
    assert torch.equal(check_viewmats(found.float(), NAME), found.float())


@pytest.mark.parametrize(
    ("viewmats", "message"),
    [
        (changed((0, 3, math.nan)), "the camera matrix is not finite; every number must be"),
        (VIEWMAT.transpose(1, 2), r"the last row of the camera matrix is \[.*\]; expected \[0, 0, 0, 1\]"),
        (changed(matrix=VIEWMAT * torch.tensor([2.0, 2, 2, 1])), "the axes .* are not orthonormal"),
        (
            changed(matrix=VIEWMAT * torch.tensor([[-1.0], [1], [1], [1]])),
            r"the camera matrix has mirrored axes \(determinant -1\); expected a rotation",
        ),
    ],
)
def test_matrix_that_is_not_rigid_is_refused_by_name(viewmats, message):
    with pytest.raises(ValueError, match=f"^view 2, frame 5: {message}"):
        check_viewmats(viewmats, NAME)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((0, 0, -1.0), r"focals -1 and .*; expected positive numbers of pixels\.$"),
        ((1, 1, 0.0), r"focals .* and 0; expected positive"),
        ((0, 1, 0.5), r"skew 0\.5; expected 0"),
        ((1, 2, math.inf), r"the intrinsics are not finite"),
        ((2, 2, 2.0), r"the last row of the intrinsics is \[0\.0, 0\.0, 2\.0\]; expected \[0, 0, 1\]\.$"),
    ],
)
def test_invalid_intrinsics_are_refused_by_name(change, message):
    with pytest.raises(ValueError, match=f"^view 2, frame 5: {message}"):
        check_intrinsics(changed(change, matrix=intrinsics([40.0], 64, 64)), NAME)


def test_different_focals_and_any_principal_point_are_valid():
    Ks = torch.tensor([[[100.0, 0, -5], [0, 90, 300], [0, 0, 1]]])
    assert torch.equal(check_intrinsics(Ks, NAME), Ks)


def test_object_behind_a_pinhole_is_refused():
    behind = changed((2, 3, -1.0))
    check_origin_in_front(behind, "ortho", NAME)
    check_origin_in_front(VIEWMAT, "pinhole", NAME)
    with pytest.raises(ValueError, match=r"^view 2, frame 5: the center of the object is behind the camera"):
        check_origin_in_front(behind, "pinhole", NAME)


def test_distorted_cameras_are_refused_by_name():
    check_distortion({"k1": 0.0, "p2": 1e-9}, "transforms.json: camera 3")
    for value in (0.04, math.nan):
        with pytest.raises(ValueError, match=rf"^transforms\.json: camera 3 has k1={value:g}; .*undistort"):
            check_distortion({"k1": value}, "transforms.json: camera 3")


@pytest.mark.parametrize("model", ["OPENCV_FISHEYE", "EQUIRECTANGULAR", "THIN_PRISM_FISHEYE"])
def test_other_camera_models_are_refused_by_name(model):
    check_camera_model("OPENCV", "transforms.json")
    with pytest.raises(
        ValueError, match=f"^transforms.json has camera model {model}; expected one of PINHOLE"
    ):
        check_camera_model(model, "transforms.json")
