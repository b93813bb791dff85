"""Alignment of worlds, against vectors, and by points that project to the same pixels."""

from __future__ import annotations

import pytest
import torch
from camera_vectors import VECTORS, assert_close, tensor

from stag4d.geometry import (
    HALF_EXTENT,
    OrbitPose,
    framing_scale,
    nearest_orbit,
    orbit_viewmats,
    place_ortho_cameras,
    project_points,
    quats_to_rotations,
    similarity_alignment,
    viewmats_from_c2ws,
)

Y_UP = torch.tensor([0.0, 1.0, 0.0])


def c2ws_of(views, key):
    return tensor([view[key] for view in views]), [view.get("file_path", "view") for view in views]


def test_alignment_equals_the_vector():
    vector = VECTORS["similarity_alignment"]
    raw = tensor(vector["raw_viewmats"])
    found = similarity_alignment(raw, vector["reference"])
    assert_close(found.rotation, vector["rotation_rows_right_up_back"])
    assert_close(found.center, vector["center"])
    assert found.scale == pytest.approx(vector["scale"], abs=1e-7)
    assert_close(found.viewmats(raw), vector["viewmats"])


def test_cameras_of_4danyone_equal_the_vector():
    views = VECTORS["4danyone"]["views"]
    raw = viewmats_from_c2ws(*c2ws_of(views, "camera_to_world"), "opencv")
    found = similarity_alignment(raw, 0, up=Y_UP)
    assert_close(found.center, views[0]["center"])
    assert found.scale == pytest.approx(views[0]["scale"], abs=1e-7)
    for viewmat, view in zip(found.viewmats(raw), views, strict=True):
        assert_close(viewmat, view["viewmat"])
        pixels, depths = project_points(tensor(view["points"]), viewmat, tensor(view["K"]))
        assert_close(pixels, view["uv"], rtol=1e-6)
        assert_close(depths, view["z"])
        pose = nearest_orbit(viewmat, tensor(view["K"]), view["image_height"])
        assert pose.elevation_deg == pytest.approx(view["elevation"], abs=1e-5)
        turn = (pose.azimuth_deg - view["azimuth"] + 180) % 360 - 180
        assert turn == pytest.approx(0, abs=1e-5)


def test_files_of_charactershot_equal_the_vector():
    vector = VECTORS["charactershot_files"]
    raw = viewmats_from_c2ws(*c2ws_of(vector["views"], "transform_matrix"), "opengl", "z")
    scale = framing_scale(tensor(vector["K"]), *vector["size"], distance=3.5)
    assert scale == pytest.approx(vector["scale"], abs=1e-7)
    found = similarity_alignment(raw, 0, scale=scale, center=tensor([0.0, 0.7, 0.0]), up=Y_UP)
    for viewmat, view in zip(found.viewmats(raw), vector["views"], strict=True):
        assert_close(viewmat, view["viewmat"])
        pose = nearest_orbit(viewmat, tensor(vector["K"]), vector["size"][1])
        assert pose.azimuth_deg % 360 == pytest.approx(view["azimuth"], abs=1e-4)
        assert pose.radius == pytest.approx(view["radius"], abs=1e-5)


@pytest.mark.parametrize("projection", ["pinhole", "ortho"])
def test_points_project_to_the_same_pixels_before_and_after(projection):
    raw = tensor(VECTORS["similarity_alignment"]["raw_viewmats"])
    K = tensor([[180.0, 0, 70.5], [0, 175, 52.25], [0, 0, 1]])
    points = tensor([[3.1, -1.0, 5.2], [2.0, 0.5, 4.0]])
    found = similarity_alignment(raw, 2, r_target=3.0)
    aligned = found.viewmats(raw)
    before, depths = project_points(points, raw[1], K, projection)
    K_after = found.intrinsics(K[None], projection)[0]
    after, depths_after = project_points(found.points(points), aligned[1], K_after, projection)
    assert_close(after, before.tolist())
    assert_close(depths_after, (depths * found.scale).tolist())
    assert aligned[2, 2, 3].item() == pytest.approx(3.0)
    assert K_after[0, 2] == K[0, 2]


def test_gaussians_of_a_cloud_keep_their_shape():
    raw = tensor(VECTORS["similarity_alignment"]["raw_viewmats"])
    found = similarity_alignment(raw)
    quats, scales = tensor([[0.9, 0.1, -0.3, 0.2]]), tensor([[0.1, 0.2, 0.3]])
    axes = quats_to_rotations(quats) * scales[:, None]  # [1, 3, 3], columns: scaled axes
    aligned = quats_to_rotations(found.quats(quats)) * found.scales(scales)[:, None]
    assert_close(aligned, (found.scale * found.rotation @ axes).tolist())


def test_front_direction_replaces_the_reference():
    poses = [OrbitPose(azimuth_deg=azimuth, radius=3.0) for azimuth in (40.0, 160.0, 280.0)]
    raw = orbit_viewmats(poses)
    found = similarity_alignment(raw, 0, up=Y_UP, front=torch.tensor([0.0, 0.0, 1.0]))
    expected = [OrbitPose(azimuth_deg=pose.azimuth_deg) for pose in poses]
    torch.testing.assert_close(found.viewmats(raw), orbit_viewmats(expected), atol=1e-5, rtol=0)


def test_orthographic_cameras_are_placed_outside_of_the_object():
    K = tensor([[64.0, 0, 32], [0, 64, 32], [0, 0, 1]])
    near = orbit_viewmats([OrbitPose(azimuth_deg=50.0, radius=0.1)]).double()
    placed = place_ortho_cameras(near)
    points = tensor([[0.1, 0.2, 0.3]])
    before, _ = project_points(points, near[0], K, "ortho")
    after, depths = project_points(points, placed[0], K, "ortho")
    assert_close(after, before.tolist())
    assert depths.item() > 2 - HALF_EXTENT


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: similarity_alignment(orbit_viewmats([OrbitPose(azimuth_deg=0.0)])),
            r"^cameras: the optical axes of 1 cameras are parallel; expected a center of the object",
        ),
        (
            lambda: similarity_alignment(
                orbit_viewmats([OrbitPose(azimuth_deg=0.0)]),
                center=torch.zeros(3),
                up=torch.tensor([0.0, 0, 1]),
            ),
            r"^cameras: the reference is straight above or below the center",
        ),
        (
            lambda: similarity_alignment(
                orbit_viewmats([OrbitPose(azimuth_deg=0.0)]), center=torch.zeros(3), scale=0.0
            ),
            r"^cameras: scale 0; expected a positive number\.$",
        ),
        (
            lambda: similarity_alignment(
                orbit_viewmats([OrbitPose(azimuth_deg=0.0)]), center=torch.zeros(3), up=torch.zeros(3)
            ),
            r"^cameras: the up axis is \[0\.0, 0\.0, 0\.0\]; expected a direction\.$",
        ),
    ],
)
def test_undetermined_alignment_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
