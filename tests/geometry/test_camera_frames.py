"""Camera matrices of other programs, against vectors."""

from __future__ import annotations

import pytest
import torch
from camera_vectors import VECTORS, assert_close, tensor

from stag4d.geometry import (
    OrbitPose,
    camera_centers,
    check_direction,
    have_same_pose,
    nearest_point_of_axes,
    orbit_viewmats,
    viewmats_from_c2ws,
)


def names(count):
    return [f"camera {index}" for index in range(count)]


@pytest.mark.parametrize("vector", VECTORS["nerfstudio_identity_alignment"])
def test_opengl_cameras_of_a_z_up_world(vector):
    up = {"z_up": "z", "y_up": "y"}[vector["world"]]
    found = viewmats_from_c2ws(tensor([vector["transform_matrix"]]), names(1), "opengl", up)
    assert_close(found[0], vector["viewmat"])


def test_both_files_of_4danyone_give_the_same_cameras():
    views = VECTORS["4danyone"]["views"]
    opencv = viewmats_from_c2ws(
        tensor([view["camera_to_world"] for view in views]), names(len(views)), "opencv", "y"
    )
    opengl = viewmats_from_c2ws(
        tensor([view["nerfstudio_transform_matrix"] for view in views]), names(len(views)), "opengl", "z"
    )
    assert_close(opencv, opengl.tolist())


def test_opencv_calibration_of_a_y_down_world():
    vector = VECTORS["opencv_calibration_y_down"]
    w2c = torch.eye(4, dtype=torch.float64)
    w2c[:3, :3], w2c[:3, 3] = tensor(vector["R"]), tensor(vector["t"])
    found = viewmats_from_c2ws(torch.linalg.inv(w2c)[None], names(1), "opencv", "-y")
    assert_close(found[0], vector["viewmat_y_up_before_centring"])
    assert_close(camera_centers(found)[0], vector["camera_centre_y_up"], atol=2e-4)


def test_pose_files_of_wonder3d_are_a_ring_in_the_axes_of_the_front_camera():
    last_row = tensor([[0.0, 0, 0, 1]])
    w2cs = torch.stack([torch.cat([tensor(v["w2c_opengl"]), last_row]) for v in VECTORS["wonder3d_files"]])
    viewmats = viewmats_from_c2ws(torch.linalg.inv(w2cs), names(len(w2cs)), "opengl")
    turns = viewmats[:, :3, :3] @ viewmats[0, :3, :3].T  # [6, 3, 3] from the front camera
    poses = [OrbitPose(azimuth_deg=vector["azimuth"]) for vector in VECTORS["wonder3d_files"]]
    ring = orbit_viewmats(poses).double()
    assert_close(turns, (ring[:, :3, :3] @ ring[0, :3, :3].T).tolist())


def test_axes_of_cameras_around_a_point_meet_there():
    vector = VECTORS["similarity_alignment"]
    assert_close(nearest_point_of_axes(tensor(vector["raw_viewmats"])), vector["center"])
    assert nearest_point_of_axes(tensor(vector["raw_viewmats"])[:1]) is None


def test_cameras_of_the_other_convention_are_refused():
    viewmats = orbit_viewmats([OrbitPose(azimuth_deg=azimuth) for azimuth in (0, 90, 200)])
    c2ws = torch.linalg.inv(viewmats.double())
    right = viewmats_from_c2ws(c2ws, names(3), "opencv")
    check_direction(right, "cameras.json")
    assert_close(right, viewmats.tolist())
    check_direction(right[:1], "cameras.json")  # nothing is known of a single camera
    with pytest.raises(ValueError, match=r"^cameras\.json: the cameras look away from the point that"):
        check_direction(viewmats_from_c2ws(c2ws, names(3), "opengl"), "cameras.json")


def test_unknown_axes_are_refused():
    with pytest.raises(ValueError, match=r"^cameras: unknown up axis 'x'; expected one of y, z, -y\.$"):
        viewmats_from_c2ws(torch.eye(4)[None], names(1), "opencv", "x")
    with pytest.raises(ValueError, match=r"^cameras: unknown camera axes 'gl'; expected opencv or opengl\.$"):
        viewmats_from_c2ws(torch.eye(4)[None], names(1), "gl")


def test_poses_are_the_same_to_rounding():
    viewmat = orbit_viewmats([OrbitPose(azimuth_deg=30.0)])[0]
    moved = viewmat.clone()
    moved[0, 3] += 5e-5
    assert have_same_pose(viewmat, moved)
    moved[0, 3] += 1e-4
    assert not have_same_pose(viewmat, moved)
