"""STAG4DPreview: the file for the viewer, and the camera that the viewer has saved."""

import json
import math

import pytest
import torch

VIEW = {
    "version": 1, "azimuth": 90.0, "elevation": 30.0, "radius": 4.0, "target": [0.5, -0.25, 1.0],
    "fovy": 60.0, "time": 0.75,
}  # fmt: skip


@pytest.fixture
def preview(pack_module, host_folders):
    return pack_module("nodes.preview")


@pytest.fixture
def run(preview, sliding_scene):
    """A function that executes the node in inference mode, as the host does."""

    def call(view="", scene=sliding_scene, width=96, height=64, scene_b=None, **inputs):
        with torch.inference_mode():
            return preview.STAG4DPreview.execute(scene, width, height, view, scene_b, **inputs)

    return call


def file_of(output):
    """Return the file that the viewer is to load."""
    (file,) = output.ui["stag4d_clip"]
    return file


def test_viewer_gets_an_s4d_file_in_the_temp_folder(run, host_folders, pack_module):
    file = file_of(run())
    assert (file["subfolder"], file["type"]) == ("stag4d", "temp")
    content = (host_folders / "temp" / "stag4d" / file["filename"]).read_bytes()
    read = pack_module("stag4d.export").read_s4d(content)
    assert read.num_frames == 5
    assert read.at(4).means[0, 0] == pytest.approx(0.4, abs=1e-3)


def test_scene_is_encoded_once_for_all_views(run, pack_module, monkeypatch):
    first = file_of(run())
    monkeypatch.delattr(pack_module("nodes.host.viewer_files"), "encode_s4d")
    assert file_of(run(json.dumps(VIEW))) == first


def test_equal_scenes_share_a_file_and_other_scenes_do_not(run, sliding_scene, host_folders):
    other = type(sliding_scene)(sliding_scene.gaussians, sliding_scene.deformation, sliding_scene.info)
    still = type(sliding_scene)(sliding_scene.gaussians, None, sliding_scene.info)
    assert file_of(run()) == file_of(run(scene=other))
    assert file_of(run()) != file_of(run(scene=still))
    assert len(list((host_folders / "temp" / "stag4d").iterdir())) == 2


def test_missing_file_is_written_again(run, host_folders):
    path = host_folders / "temp" / "stag4d" / file_of(run())["filename"]
    content = path.read_bytes()
    path.unlink()
    run()
    assert path.read_bytes() == content


def test_default_view_is_the_input_camera_at_the_first_frame(run):
    info, cameras, moment = run().args
    assert moment == 0.0
    torch.testing.assert_close(cameras.centers, torch.tensor([[0.0, 0, 2]]))
    focal = 32 / math.tan(math.radians(49.1) / 2)
    torch.testing.assert_close(cameras.Ks, torch.tensor([[[focal, 0, 48], [0, focal, 32], [0, 0, 1]]]))
    assert (cameras.width, cameras.height) == (96, 64)
    assert info["fov"] == pytest.approx(49.1)


def test_default_view_shows_an_object_that_the_input_camera_cuts_off(run, sliding_scene):
    gaussians = sliding_scene.gaussians.map(lambda value: value.clone())
    gaussians.means[:] += torch.tensor([5.0, 0.0, 0.0])
    far = type(sliding_scene)(gaussians, sliding_scene.deformation, sliding_scene.info)
    info, cameras, _ = run(scene=far).args
    assert info["target"]["x"] == pytest.approx(5, abs=0.5)
    assert cameras.centers[0, 0].item() == pytest.approx(info["target"]["x"], abs=1e-5)


def test_second_scene_is_a_second_file_for_the_viewer(run, sliding_scene):
    still = type(sliding_scene)(sliding_scene.gaussians, None, sliding_scene.info)
    output = run(scene_b=still)
    assert output.ui["stag4d_clip"] == run().ui["stag4d_clip"]
    assert output.ui["stag4d_clip_b"] == run(scene=still).ui["stag4d_clip"]
    assert "stag4d_clip_b" not in run().ui


def test_saved_view_gives_camera_and_moment(run):
    info, cameras, moment = run(json.dumps(VIEW)).args
    # Azimuth 90 is +x; elevation 30 at distance 4 is 2 units up.
    center = [0.5 + 4 * math.cos(math.radians(30)), -0.25 + 2, 1.0]
    torch.testing.assert_close(cameras.centers, torch.tensor([center]))
    target = torch.tensor([0.5, -0.25, 1.0, 1.0])
    torch.testing.assert_close(cameras.viewmats[0] @ target, torch.tensor([0.0, 0, 4, 1]), atol=1e-5, rtol=0)
    focal = 32 / math.tan(math.radians(30))
    assert cameras.Ks[0, 1, 1].item() == pytest.approx(focal)
    assert moment == 0.75
    assert info == {
        "position": dict(zip("xyz", map(pytest.approx, center), strict=True)),
        "target": {"x": 0.5, "y": -0.25, "z": 1.0},
        "zoom": 1.0,
        "cameraType": "perspective",
        "fov": 60.0,
        "aspect": 1.5,
    }


def test_camera_is_upright_and_the_camera_path_node_keeps_it(run, pack_module):
    info, cameras, _ = run(json.dumps(VIEW)).args
    assert cameras.viewmats[0, 0, 1] == pytest.approx(0.0, abs=1e-6)  # its right axis is horizontal
    path = pack_module("nodes.camera_path").STAG4DCameraPath
    same = path.execute(96, 64, 1, 49.1, 2.0, {"mode": "camera", "camera": info}).args[0]
    assert torch.equal(same.viewmats, cameras.viewmats)
    assert torch.equal(same.Ks, cameras.Ks)


@pytest.mark.parametrize("projection", ["perspective", "orthographic"])
def test_given_cameras_replace_that_of_the_viewer(run, projection):
    cameras = [
        {
            "position": {"x": x, "y": 0, "z": 3},
            "target": {"x": x, "y": 0, "z": 0},
            "fov": 90,
            "cameraType": projection,
        }
        for x in (0, 1)
    ]
    info, found, moment = run(json.dumps(VIEW), camera_info=cameras).args
    assert info == cameras
    assert moment == 0.75  # the viewer's
    torch.testing.assert_close(found.centers, torch.tensor([[0.0, 0, 3], [1, 0, 3]]))
    assert found.projection == {"perspective": "pinhole", "orthographic": "ortho"}[projection]
    focal = {"perspective": 32, "orthographic": 32 / 3}[projection]
    assert found.Ks[:, 1, 1].tolist() == pytest.approx([focal, focal])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"^view: is not JSON \(.*\); expected what the viewer saved\.$"),
        ("[" * 100_000, r"^view: is not JSON"),
        ("[1]", r"^view: holds a list; expected what the viewer saved\.$"),
        ("{}", r"^view: version must be a whole number from 1, not nothing\.$"),
        (VIEW | {"version": 2}, r"^view: version 2 is newer than 1, the last one known; update\.$"),
        (VIEW | {"azimuth": math.nan}, r"^view\.azimuth must be a finite number, not NaN\.$"),
        (VIEW | {"radius": None}, r"^view\.radius must be a finite number, not nothing\.$"),
        (VIEW | {"fovy": "wide"}, r"^view\.fovy must be a finite number, not \"wide\"\.$"),
        (VIEW | {"elevation": 90}, r"^view: camera pose: elevation 90 degrees; expected -89.9 to 89.9"),
        (VIEW | {"radius": -1}, r"^view: camera pose: radius -1; expected a positive distance\.$"),
        (VIEW | {"time": 1.5}, r"^view\.time: 1\.5; expected 0 to 1\.$"),
        (VIEW | {"time": math.inf}, r"^view\.time must be a finite number, not Infinity\.$"),
        (VIEW | {"target": [0, 0]}, r"^view\.target: \[0, 0\]; expected three numbers\.$"),
        (VIEW | {"target": [0, 10**400, 0]}, r"^view\.target\[1\] must be a finite number"),
    ],
)
def test_invalid_view_fails_validation(run, preview, host_folders, text, message):
    text = text if isinstance(text, str) else json.dumps(text)
    with pytest.raises(ValueError, match=message) as error:
        run(text)
    assert preview.STAG4DPreview.validate_inputs(text) == str(error.value)
    assert list((host_folders / "temp").iterdir()) == []


def test_valid_view_passes_validation(preview):
    assert preview.STAG4DPreview.validate_inputs(json.dumps(VIEW)) is True
    assert preview.STAG4DPreview.validate_inputs() is True


def test_encoding_has_progress_and_can_be_cancelled(run, host_folders, progress_bar, cancel_at, interrupt):
    run()
    assert progress_bar.reported == [(done, 5) for done in range(1, 6)]
    (file,) = (host_folders / "temp" / "stag4d").iterdir()
    file.unlink()
    cancel_at(2)
    with pytest.raises(interrupt):
        run()
    assert list((host_folders / "temp" / "stag4d").iterdir()) == []
