"""STAG4DPreview: the file that the viewer fetches, and the camera of the view that it saved."""

import importlib
import json
import math
import sys

import pytest
import torch

VIEW = {
    "version": 1, "azimuth": 90.0, "elevation": 30.0, "radius": 4.0, "target": [0.5, -0.25, 1.0],
    "fovy": 60.0, "time": 0.75,
}  # fmt: skip


@pytest.fixture
def preview(pack, host_folders):
    """The module, with the host's folders there."""
    return importlib.import_module(f"{pack.__name__}.nodes.preview")


@pytest.fixture
def run(preview, sliding_scene):
    """A function that runs the node in inference mode, as the host does."""

    def call(view="", scene=sliding_scene, width=96, height=64):
        with torch.inference_mode():
            return preview.STAG4DPreview.execute(scene, width, height, view)

    return call


def clip_of(output):
    """Return what the page is told of the clip."""
    (clip,) = output.ui["stag4d_clip"]
    return clip


def test_the_page_is_told_of_a_clip_in_the_packs_temp_folder(run, host_folders, pack):
    clip = clip_of(run())
    assert (clip["subfolder"], clip["type"]) == ("stag4d", "temp")
    content = (host_folders / "temp" / "stag4d" / clip["filename"]).read_bytes()
    read = importlib.import_module(f"{pack.__name__}.stag4d.export").read_s4d(content)
    assert read.num_frames == 5
    assert read.at(4).means[0, 0] == pytest.approx(0.4, abs=1e-3)


def test_a_scene_is_packed_once_whatever_the_view(run, preview, monkeypatch):
    first = clip_of(run())
    monkeypatch.delattr(preview, "encode_s4d")
    assert clip_of(run(json.dumps(VIEW))) == first


def test_an_equal_scene_has_the_same_file_and_another_scene_another(run, sliding_scene, host_folders):
    other = type(sliding_scene)(sliding_scene.gaussians, sliding_scene.deformation, sliding_scene.info)
    still = type(sliding_scene)(sliding_scene.gaussians, None, sliding_scene.info)
    assert clip_of(run()) == clip_of(run(scene=other))
    assert clip_of(run()) != clip_of(run(scene=still))
    assert len(list((host_folders / "temp" / "stag4d").iterdir())) == 2


def test_a_file_that_is_gone_is_written_again(run, host_folders):
    path = host_folders / "temp" / "stag4d" / clip_of(run())["filename"]
    content = path.read_bytes()
    path.unlink()
    run()
    assert path.read_bytes() == content


def test_without_a_view_it_is_the_input_camera_at_the_first_frame(run):
    info, cameras, moment = run().args
    assert moment == 0.0
    torch.testing.assert_close(cameras.centers, torch.tensor([[0.0, 0, 2]]))
    focal = 32 / math.tan(math.radians(49.1) / 2)
    torch.testing.assert_close(cameras.Ks, torch.tensor([[[focal, 0, 48], [0, focal, 32], [0, 0, 1]]]))
    assert (cameras.width, cameras.height) == (96, 64)
    assert info["fov"] == pytest.approx(49.1)


def test_the_view_comes_out_as_cameras_and_moment(run):
    info, cameras, moment = run(json.dumps(VIEW)).args
    # 90 degrees to the right of the input camera is +x; 30 up of 4 units are 2.
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
        "zoom": 1.0, "cameraType": "perspective", "fov": 60.0, "aspect": 1.5,
    }  # fmt: skip


def test_the_camera_is_upright_and_the_same_through_the_camera_path_node(run, pack):
    info, cameras, _ = run(json.dumps(VIEW)).args
    assert cameras.viewmats[0, 0, 1] == pytest.approx(0.0, abs=1e-6)  # its right is level
    path = importlib.import_module(f"{pack.__name__}.nodes.camera_path").STAG4DCameraPath
    (same,) = path.execute(96, 64, 1, 49.1, 2.0, {"mode": "camera", "camera": info}).args
    assert torch.equal(same.viewmats, cameras.viewmats)
    assert torch.equal(same.Ks, cameras.Ks)


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
def test_a_bad_view_is_refused_in_words_before_anything_runs(run, preview, host_folders, text, message):
    text = text if isinstance(text, str) else json.dumps(text)
    with pytest.raises(ValueError, match=message) as refusal:
        run(text)
    assert preview.STAG4DPreview.validate_inputs(text) == str(refusal.value)
    assert list((host_folders / "temp").iterdir()) == []


def test_a_view_that_the_viewer_saved_is_accepted_before_anything_runs(preview):
    assert preview.STAG4DPreview.validate_inputs(json.dumps(VIEW)) is True
    assert preview.STAG4DPreview.validate_inputs() is True


def test_packing_is_seen_on_the_bar_and_hears_a_cancel(run, host_folders, monkeypatch):
    run()
    bar = sys.modules["comfy.utils"].ProgressBar
    assert bar.reported == [(done, 5) for done in range(1, 6)]
    (clip,) = (host_folders / "temp" / "stag4d").iterdir()
    clip.unlink()
    management = sys.modules["comfy.model_management"]

    def cancel():
        raise management.InterruptProcessingException

    monkeypatch.setattr(management, "throw_exception_if_processing_interrupted", cancel)
    with pytest.raises(management.InterruptProcessingException):
        run()
    assert list((host_folders / "temp" / "stag4d").iterdir()) == []
