"""STAG4DCameraPath: camera positions by hand; the input camera is on +z, and +y is up."""

import math

import pytest
import torch

DEFAULTS = {"width": 64, "height": 32, "fovy": 49.1, "radius": 2.0}


@pytest.fixture(scope="module")
def make_path(pack_module):
    node = pack_module("nodes.camera_path").STAG4DCameraPath

    def make(num_cameras, **mode):
        return node.execute(num_cameras=num_cameras, mode=mode, **DEFAULTS).args[0]

    return make


def test_turntable_of_four_is_in_front_right_behind_and_left(make_path):
    cameras = make_path(4, mode="turntable", elevation=0.0, azimuth_start=0.0, turns=1.0)
    expected = torch.tensor([[0.0, 0, 2], [2, 0, 0], [0, 0, -2], [-2, 0, 0]])
    torch.testing.assert_close(cameras.centers, expected, atol=1e-5, rtol=0)


def test_negative_turns_turn_the_other_way(make_path):
    cameras = make_path(4, mode="turntable", elevation=0.0, azimuth_start=0.0, turns=-1.0)
    torch.testing.assert_close(cameras.centers[1], torch.tensor([-2.0, 0, 0]), atol=1e-5, rtol=0)


def test_orbit_includes_both_ends(make_path):
    cameras = make_path(
        3, mode="orbit", azimuth_start=0.0, azimuth_end=90.0, elevation_start=0.0, elevation_end=60.0
    )
    half = math.radians(45)
    lift = math.radians(30)
    middle = [2 * math.cos(lift) * math.sin(half), 2 * math.sin(lift), 2 * math.cos(lift) * math.cos(half)]
    expected = torch.tensor([[0.0, 0, 2], middle, [1.0, math.sqrt(3), 0]])
    torch.testing.assert_close(cameras.centers, expected, atol=1e-5, rtol=0)


def test_single_camera_is_at_the_start_of_an_orbit(make_path):
    cameras = make_path(
        1, mode="orbit", azimuth_start=90.0, azimuth_end=180.0, elevation_start=0.0, elevation_end=0.0
    )
    torch.testing.assert_close(cameras.centers, torch.tensor([[2.0, 0, 0]]), atol=1e-5, rtol=0)


def test_image_size_and_fovy_give_the_intrinsics(make_path):
    cameras = make_path(2, mode="turntable", elevation=0.0, azimuth_start=0.0, turns=1.0)
    focal = 16 / math.tan(math.radians(49.1) / 2)  # half the height over the half angle's tangent
    expected = torch.tensor([[focal, 0, 32], [0, focal, 16], [0, 0, 1]])
    assert (cameras.width, cameras.height) == (64, 32)
    torch.testing.assert_close(cameras.Ks, expected.expand(2, 3, 3))


def test_path_passes_through_keyframes_whose_radius_is_optional(make_path):
    cameras = make_path(3, mode="keyframes", keyframes="0, 0\n\n 90, 0, 3 \n180,0")
    expected = torch.tensor([[0.0, 0, 2], [3, 0, 0], [0, 0, -2]])
    torch.testing.assert_close(cameras.centers, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "0, 0\n\n90",
            "^keyframes: line 3 is '90'; expected azimuth, elevation or azimuth, elevation, radius: two or "
            "three numbers separated by commas.$",
        ),
        ("0, 0, 2, 49", "^keyframes: line 1 is '0, 0, 2, 49'; expected azimuth, elevation"),
        ("left, 0", "^keyframes: line 1 is 'left, 0'; expected azimuth, elevation"),
        ("0, 0\n0, 0, -1", "^keyframes: line 2: camera pose: radius -1; expected a positive distance.$"),
        ("0, 90", "^keyframes: line 1: camera pose: elevation 90 degrees; expected -89.9 to 89.9"),
        ("nan, 0", "^keyframes: line 1: camera pose: .* is not finite; every number must be.$"),
        (" \n", "^camera path: no keyframes; expected at least one.$"),
    ],
)
def test_invalid_line_is_rejected_with_its_number(make_path, text, message):
    with pytest.raises(ValueError, match=message):
        make_path(3, mode="keyframes", keyframes=text)


def test_camera_of_comfyui_keeps_its_field_of_view_and_zoom(make_path):
    camera = {"position": {"x": 3, "y": 1, "z": 5}, "target": {"x": -4, "y": 1, "z": 5}, "fov": 90, "zoom": 2}
    cameras = make_path(2, mode="camera", camera=camera)
    viewmat = torch.tensor([[0.0, 0, -1, 5], [0, -1, 0, 1], [-1, 0, 0, 3], [0, 0, 0, 1]])
    focal = 16 * 2 / math.tan(math.radians(45))  # half the height, zoomed
    torch.testing.assert_close(cameras.viewmats, viewmat.expand(2, 4, 4), atol=1e-6, rtol=0)
    torch.testing.assert_close(cameras.Ks[1], torch.tensor([[focal, 0, 32], [0, focal, 16], [0, 0, 1]]))


def test_camera_of_comfyui_without_a_field_of_view_has_that_of_the_widget(make_path):
    camera = {"position": {"x": 0, "y": 0, "z": 2}, "target": {"x": 0, "y": 0, "z": 0}}
    from_host = make_path(1, mode="camera", camera=camera)
    orbit = make_path(1, mode="keyframes", keyframes="0, 0")
    torch.testing.assert_close(from_host.viewmats, orbit.viewmats)
    torch.testing.assert_close(from_host.Ks, orbit.Ks)


FRONT = {"position": {"x": 0, "y": 0, "z": 2}, "target": {"x": 0, "y": 0, "z": 0}}
SIDE = {"position": {"x": 3, "y": 0, "z": 0}, "target": {"x": 0, "y": 0, "z": 0}, "fov": 90}


def test_list_of_cameras_is_a_path_of_these_cameras(make_path):
    """As BatchCameras and CreateCameraOrbit of newer hosts give it."""
    cameras = make_path(7, mode="camera", camera=[FRONT, SIDE, FRONT])
    expected = torch.tensor([[0.0, 0, 2], [3, 0, 0], [0, 0, 2]])
    torch.testing.assert_close(cameras.centers, expected, atol=1e-5, rtol=0)
    assert cameras.Ks[1, 1, 1].item() == pytest.approx(16)


def test_list_of_one_camera_is_repeated(make_path):
    from_list, single = (make_path(3, mode="camera", camera=value) for value in ([SIDE], SIDE))
    assert len(from_list) == 3
    assert torch.equal(from_list.viewmats, single.viewmats)
    assert torch.equal(from_list.Ks, single.Ks)


def test_orthographic_camera_spans_its_field_of_view_at_the_target(make_path):
    cameras = make_path(2, mode="camera", camera={**SIDE, "cameraType": "orthographic"})
    assert (cameras.projection, len(cameras)) == ("ortho", 2)
    expected = torch.tensor([[16 / 3, 0, 32], [0, 16 / 3, 16], [0, 0, 1]])  # 3 units above and below
    torch.testing.assert_close(cameras.Ks[0], expected)


def test_list_with_both_projections_is_refused(make_path):
    ortho = {**SIDE, "cameraType": "orthographic"}
    with pytest.raises(
        ValueError, match=r"^cameras: 1 perspective and 2 orthographic ones; expected a single"
    ):
        make_path(1, mode="camera", camera=[ortho, FRONT, ortho])


@pytest.mark.parametrize(
    ("num_cameras", "mode"),
    [
        (1, {"mode": "camera", "camera": {**SIDE, "cameraType": "orthographic"}}),
        (1, {"mode": "camera", "camera": [FRONT, SIDE]}),
        (3, {"mode": "turntable", "elevation": 20.0, "azimuth_start": 0.0, "turns": 1.0}),
    ],
)
def test_cameras_for_other_nodes_are_the_cameras(pack_module, make_path, num_cameras, mode):
    node = pack_module("nodes.camera_path").STAG4DCameraPath
    cameras, info = node.execute(num_cameras=num_cameras, mode=mode, **DEFAULTS).args
    assert isinstance(info, list) == (len(cameras) > 1)  # older hosts take a single camera only
    again = make_path(1, mode="camera", camera=info)
    assert again.projection == cameras.projection
    torch.testing.assert_close(again.viewmats, cameras.viewmats, atol=1e-5, rtol=0)
    torch.testing.assert_close(again.Ks, cameras.Ks)


def test_default_keyframes_are_a_path(pack_module, make_path):
    schema = pack_module("nodes.camera_path").STAG4DCameraPath.define_schema()
    options = {option.key: option.inputs for option in schema.inputs[-1].options["options"]}
    assert list(options) == ["turntable", "orbit", "keyframes", "camera"]
    cameras = make_path(3, mode="keyframes", keyframes=options["keyframes"][0].options["default"])
    torch.testing.assert_close(cameras.centers[0], torch.tensor([0.0, 0, 2]), atol=1e-5, rtol=0)
