"""Rigs of published models, against vectors computed apart from this project."""

from __future__ import annotations

import pytest
import torch
from camera_vectors import VECTORS, assert_close, tensor

from stag4d.geometry import CAMERA_RIGS, HALF_EXTENT, camera_rig, input_camera, orbit_viewmats, rig_cameras

RIGS = {
    "sv4d2": "sv4d2",
    "sv4d2-8": "sv4d2_8views",
    "sv4d": "sv4d",
    "sv3d-core": "sv3d_core_21",
    "sv3d-script": "sv3d_script",
    "mv-adapter": "mvadapter",
    "mv-adapter-mesh": "mvadapter_geometry",
    "era3d": "era3d",
    "wonder3d": "wonder3d",
    "unique3d": "unique3d",
    "imagedream": "imagedream",
    "mvdream": "mvdream",
    "zero123++1.1": "zero123plus-v1.1",
    "zero123++1.2": "zero123plus-v1.2",
    "charactershot": "charactershot",
}


def test_every_preset_has_a_vector():
    assert sorted(RIGS) == sorted(CAMERA_RIGS)
    assert sorted(RIGS.values()) == sorted(VECTORS["rigs"])


@pytest.mark.parametrize("name", RIGS)
def test_preset_has_the_angles_and_projection_of_its_vector(name):
    rig, expected = camera_rig(name), VECTORS["rigs"][RIGS[name]]
    assert_close(tensor(rig.azimuths_deg), [view["azimuth"] for view in expected["views"]])
    assert_close(tensor(rig.elevations_deg), [view["elevation"] for view in expected["views"]])
    assert rig.projection == expected["projection"]
    if rig.projection == "pinhole":
        assert rig.fovy_deg == pytest.approx(expected["fovy"], abs=1e-5)
    else:
        assert rig.half_extent == pytest.approx(expected["half_extent"], abs=1e-12)


@pytest.mark.parametrize(
    "name", [name for name in RIGS if "radius" in VECTORS["rigs"][RIGS[name]] and name != "charactershot"]
)
def test_cameras_of_a_preset_have_the_distance_of_its_vector(name):
    cameras = rig_cameras(camera_rig(name), 576, 576)
    radius = VECTORS["rigs"][RIGS[name]]["radius"]
    assert_close(cameras.viewmats[:, 2, 3], [radius] * len(cameras.viewmats))
    assert all(pose.radius == pytest.approx(radius) for pose in cameras.poses)


def test_charactershot_is_framed_by_the_longer_side_with_a_focal_of_1000_pixels():
    cameras = rig_cameras(camera_rig("charactershot"), 720, 480)
    assert_close(cameras.Ks[0], VECTORS["charactershot_files"]["K"], atol=1e-3)
    assert cameras.poses[0].radius == pytest.approx(3.5 * VECTORS["charactershot_files"]["scale"], abs=1e-5)


def test_orthographic_cameras_span_the_half_extent():
    cameras = rig_cameras(camera_rig("mv-adapter"), 768, 512)
    focal = 256 / HALF_EXTENT
    assert cameras.projection == "ortho"
    assert_close(cameras.Ks, [[[focal, 0, 384], [0, focal, 256], [0, 0, 1]]] * 6)
    assert_close(cameras.viewmats[:, 2, 3], [2.0] * 6)
    assert all(pose.fovy_deg == pytest.approx(49.1) for pose in cameras.poses)  # same extent at the origin


def test_world_of_mv_adapter_is_scaled_to_ours():
    expected = VECTORS["rigs"]["mvadapter"]
    assert HALF_EXTENT / expected["source_half_extent"] == pytest.approx(expected["scale"], abs=1e-12)


def test_last_image_of_the_core_ring_is_no_view():
    rig = camera_rig("sv3d-core")
    assert (rig.num_images, rig.view_images) == (21, tuple(range(20)))
    assert [pose.azimuth_deg for pose in rig_cameras(rig, 64, 64).poses] == [18.0 * i for i in range(20)]


def test_last_image_of_the_script_is_at_the_input_camera_and_the_first_view():
    rig = camera_rig("sv3d-script")
    poses = rig_cameras(rig, 64, 64).poses
    assert rig.view_images == (20, *range(20))
    assert [pose.azimuth_deg for pose in poses] == pytest.approx([i * 360 / 21 for i in range(21)])


@pytest.mark.parametrize(("name", "step"), [("sv3d-core", 36.0), ("sv3d-script", 360 / 11)])
def test_rings_of_sv3d_may_have_other_numbers_of_images(name, step):
    poses = rig_cameras(camera_rig(name, 11), 64, 64).poses
    assert [pose.azimuth_deg for pose in poses] == pytest.approx([i * step for i in range(len(poses))])
    assert len(poses) == {"sv3d-core": 10, "sv3d-script": 11}[name]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sv4d2", 12.0),
        ("imagedream", 12.0),
        ("sv3d-core", 12.0),
        ("sv3d-script", 12.0),
        ("sv4d", 12.0),
        ("mv-adapter", 0.0),
        ("mvdream", 15.0),
    ],
)
def test_only_relative_elevations_follow_the_input(name, expected):
    cameras = rig_cameras(camera_rig(name), 64, 64, input_elevation_deg=12.0)
    assert {pose.elevation_deg for pose in cameras.poses} == {expected}


def test_wonder3d_ring_tilts_with_the_input_camera():
    vectors = VECTORS["wonder3d_tilted_ring"]
    cameras = rig_cameras(camera_rig("wonder3d"), 256, 256, vectors[0]["input_elevation"])
    for viewmat, vector in zip(cameras.viewmats, vectors, strict=True):
        assert_close(viewmat, vector["viewmat"])
    front, *rolled, back = (cameras.poses[i] for i in (0, 1, 2, 4, 5, 3))
    assert (front.azimuth_deg, front.elevation_deg) == (pytest.approx(0), pytest.approx(20, abs=1e-4))
    assert abs(back.azimuth_deg) == pytest.approx(180, abs=1e-4)
    assert back.elevation_deg == pytest.approx(-20, abs=1e-4)
    assert rolled == [None] * 4


def test_wonder3d_ring_is_level_without_an_input_elevation():
    cameras = rig_cameras(camera_rig("wonder3d"), 256, 256)
    torch.testing.assert_close(cameras.viewmats, orbit_viewmats(cameras.poses))


def test_top_and_bottom_views_of_mv_adapter_are_beyond_orbit_poses():
    cameras = rig_cameras(camera_rig("mv-adapter-mesh"), 512, 512)
    assert [pose is None for pose in cameras.poses] == [False] * 4 + [True] * 2
    assert_close(cameras.viewmats[4, 2, :3], [0.0, -1.0, 0.0], atol=2e-4)  # looking down
    assert_close(cameras.viewmats[4, 0, :3], [-1.0, 0.0, 0.0])


def test_input_camera_has_the_geometry_of_the_rig():
    camera = input_camera(camera_rig("sv4d2"), 64, 64, 12.0)
    assert (camera.poses[0].azimuth_deg, camera.poses[0].elevation_deg) == (0.0, 12.0)
    assert camera.poses[0].radius == pytest.approx(3.00688384062979)
    assert input_camera(camera_rig("unique3d"), 64, 64).projection == "ortho"
    assert input_camera(camera_rig("era3d"), 64, 64) is None  # the input is not a view


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: camera_rig("sv4d3"), r"^rig: unknown rig 'sv4d3'; did you mean sv4d2?"),
        (lambda: camera_rig("x"), r"^rig: unknown rig 'x'; expected one of sv4d2, sv4d2-8"),
        (lambda: camera_rig("sv4d2", 6), r"^rig sv4d2: 6 images of each frame; expected 4\.$"),
        (lambda: camera_rig("sv3d-core", 1), r"^rig sv3d-core: 1 images of each frame; expected 21\.$"),
        (
            lambda: rig_cameras(camera_rig("sv4d2"), 64, 64, 91.0),
            r"^rig: elevation 91 degrees; expected -90 to 90\.$",
        ),
    ],
)
def test_unknown_rig_and_wrong_numbers_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
