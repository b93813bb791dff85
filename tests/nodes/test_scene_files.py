"""STAG4DLoad and STAG4DSave: listed files, loaded scenes, and errors."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from official_result import write_official_result

BUNDLED = "bundled/quadruped.safetensors"


@pytest.fixture(scope="module")
def scene_files(pack_module):
    return pack_module("nodes.scene_files")


@pytest.fixture
def saved(pack_module, host_folders, sliding_scene):
    """A static scene in the input folder and the same one in a subfolder of the output folder."""
    scene = pack_module("stag4d.scene")
    model = scene.GaussianModel4D(sliding_scene.gaussians, None, sliding_scene.info)
    for name in ("input/cat.safetensors", "output/runs/dog.safetensors"):
        scene.save_scene(host_folders / name, model)
    return host_folders


def test_scenes_of_both_folders_are_listed_and_nothing_else(saved, scene_files):
    (saved / "input" / "photo.png").touch()
    names = scene_files.STAG4DLoad.define_schema().inputs[0].options["options"]
    assert names == ["cat.safetensors", "runs/dog.safetensors [output]", BUNDLED]


def test_listed_scenes_can_be_loaded(saved, scene_files, sliding_scene):
    for name in ("cat.safetensors", "runs/dog.safetensors [output]"):
        assert scene_files.STAG4DLoad.validate_inputs(name) is True
        (model,) = scene_files.STAG4DLoad.execute(name).args
        assert torch.equal(model.gaussians.sh0, sliding_scene.gaussians.sh0)
        assert model.info.num_frames == sliding_scene.info.num_frames


def test_scene_loaded_in_inference_mode_can_be_optimized(saved, scene_files):
    with torch.inference_mode():
        (model,) = scene_files.STAG4DLoad.execute("cat.safetensors").args
    assert not model.gaussians.means.is_inference()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../secret.safetensors", "lies outside"),
        ("../secret.safetensors [output]", "lies outside"),
        ("link.safetensors", "lies outside"),
        ("notes.txt", "is not a .safetensors file, nor one of .ply, .spz"),
        ("gone.safetensors", "was not found; choose one in the list"),
    ],
)
def test_other_files_are_rejected_before_they_are_opened(saved, scene_files, name, message):
    secret = saved / "secret.safetensors"
    secret.touch()
    (saved / "input" / "notes.txt").touch()
    (saved / "input" / "link.safetensors").symlink_to(secret)
    assert message in scene_files.STAG4DLoad.validate_inputs(name)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        scene_files.STAG4DLoad.execute(name)


def test_absolute_path_is_rejected(saved, scene_files):
    secret = saved / "secret.safetensors"
    secret.touch()
    assert "lies outside" in scene_files.STAG4DLoad.validate_inputs(str(secret))


def test_changed_scene_changes_the_fingerprint(saved, scene_files):
    before = scene_files.STAG4DLoad.fingerprint_inputs("cat.safetensors")
    assert scene_files.STAG4DLoad.fingerprint_inputs("cat.safetensors") == before
    with (saved / "input" / "cat.safetensors").open("ab") as file:
        file.write(b" ")
    assert scene_files.STAG4DLoad.fingerprint_inputs("cat.safetensors") != before


def test_saved_scenes_are_not_overwritten_and_can_be_loaded(saved, scene_files, sliding_scene, pack_module):
    scene = pack_module("stag4d.scene")
    model = scene.GaussianModel4D(sliding_scene.gaussians, None, sliding_scene.info)
    (first,) = scene_files.STAG4DSave.execute(model, "films/ball").args
    (second,) = scene_files.STAG4DSave.execute(model, "films/ball").args
    assert first != second
    assert {first, second} <= set(scene_files.scene_names())
    (opened,) = scene_files.STAG4DLoad.execute(second).args
    assert torch.equal(opened.gaussians.means, model.gaussians.means)


def test_saved_file_is_listed_for_the_page(saved, scene_files, sliding_scene, pack_module):
    model = pack_module("stag4d.scene").GaussianModel4D(sliding_scene.gaussians, None, sliding_scene.info)
    shown = scene_files.STAG4DSave.execute(model, "films/ball").ui
    (file,) = shown["stag4d_files"]
    assert file == {"filename": "ball_00001_.safetensors", "subfolder": "films", "type": "output"}
    assert (saved / "output" / file["subfolder"] / file["filename"]).is_file()
    assert shown["text"] == ("saved films/ball_00001_.safetensors [output]",)


@pytest.mark.parametrize("prefix", ["films/", "films//", "films/.", "films/../ball", "", "films/Ball", "%"])
def test_no_prefix_overwrites_a_scene(saved, scene_files, sliding_scene, pack_module, prefix):
    scene = pack_module("stag4d.scene")
    names = []
    for time_scale in range(1, 5):
        info = replace(sliding_scene.info, fps=float(time_scale))
        model = scene.GaussianModel4D(sliding_scene.gaussians, None, info)
        names += scene_files.STAG4DSave.execute(model, prefix).args
    assert len(set(names)) == 4
    for number, name in enumerate(names, start=1):
        assert f"_{number:05}_.safetensors" in name
        path = saved / "output" / name.removesuffix(" [output]")
        assert scene.load_scene(path).info.fps == number
    assert not list((saved / "output").rglob(".stag4d*"))


@pytest.fixture
def splats(pack_module, host_folders, sliding_scene):
    """The scene in other formats, in the input and output folders."""
    export = pack_module("stag4d.export")
    export.write_splat_sequence(host_folders / "input" / "walk", sliding_scene, "ply")
    export.write_s4d(host_folders / "output" / "ball.s4d", sliding_scene)
    export.write_s4d(host_folders / "temp" / "stag4d" / "preview.s4d", sliding_scene)
    gaussians = sliding_scene.at(sliding_scene.frame_times[:1])[0]
    for name in ("one.ply", "exports/ball_00001_.ply", "exports/ball_00002_.ply"):
        export.write_ply(host_folders / "input" / name, gaussians)
    return host_folders


def test_splats_and_folders_of_frames_are_listed(splats, scene_files):
    assert scene_files.scene_names() == [
        "one.ply",
        "exports/ball_00001_.ply",
        "exports/ball_00002_.ply",
        "walk/",
        *(f"walk/frame_{number:04}.ply" for number in range(5)),
        "ball.s4d [output]",
        BUNDLED,
    ]


def test_listed_splats_can_be_loaded(splats, scene_files):
    frames = {"one.ply": 1, "exports/ball_00001_.ply": 1, "walk/": 5, "ball.s4d [output]": 5}
    for name, num_frames in frames.items():
        assert scene_files.STAG4DLoad.validate_inputs(name) is True
        (model,) = scene_files.STAG4DLoad.execute(name).args
        assert model.info.num_frames == num_frames
        assert not model.gaussians.means.is_inference()
    (walk,) = scene_files.STAG4DLoad.execute("walk/", fps=12.0).args
    assert walk.info.fps == 12.0
    assert walk.at(walk.frame_times).means[:, 0, 0].tolist() == pytest.approx([-0.4, -0.2, 0.0, 0.2, 0.4])


def test_bundled_scene_is_loaded(host_folders, scene_files):
    assert scene_files.scene_names() == [BUNDLED]  # the default where there is no other
    assert scene_files.STAG4DLoad.validate_inputs(BUNDLED) is True
    assert scene_files.STAG4DLoad.fingerprint_inputs(BUNDLED)
    (model,) = scene_files.STAG4DLoad.execute(BUNDLED).args
    assert model.info.num_frames == 16


def test_official_result_is_loaded_with_its_number_of_frames(host_folders, scene_files):
    write_official_result(host_folders / "input" / "logs" / "cat8000")
    assert scene_files.scene_names() == ["logs/cat8000/", BUNDLED]
    (model,) = scene_files.STAG4DLoad.execute("logs/cat8000/", frames=26).args
    assert model.info.num_frames == 26


def test_changed_frame_changes_the_fingerprint(splats, scene_files):
    before = scene_files.STAG4DLoad.fingerprint_inputs("walk/")
    assert scene_files.STAG4DLoad.fingerprint_inputs("walk/") == before
    with (splats / "input" / "walk" / "frame_0003.ply").open("ab") as file:
        file.write(b" ")
    assert scene_files.STAG4DLoad.fingerprint_inputs("walk/") != before


def test_folders_with_links_out_or_without_frames_are_rejected(splats, scene_files):
    (splats / "input" / "walk" / "frame_0005.ply").symlink_to(splats / "secret.ply")
    (splats / "input" / "nothing").mkdir()
    assert "has links that lead out of it" in scene_files.STAG4DLoad.validate_inputs("walk/")
    assert "no PLY or SPZ files" in scene_files.STAG4DLoad.validate_inputs("nothing/")


def test_hidden_files_and_folders_named_as_files_are_not_listed(splats, scene_files):
    before = scene_files.scene_names()
    (splats / "input" / "._hidden.ply").touch()
    (splats / "input" / "folder.ply").mkdir()
    assert scene_files.scene_names() == before


def test_frames_are_not_read_for_the_fingerprint(splats, scene_files, monkeypatch):
    def read(path: Path) -> bytes:
        raise AssertionError(f"{path} is read")

    frame = splats / "input" / "walk" / "frame_0003.ply"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", read)
        before = scene_files.STAG4DLoad.fingerprint_inputs("walk/")
        os.utime(frame, ns=(0, 12345))
        assert scene_files.STAG4DLoad.fingerprint_inputs("walk/") != before


@pytest.mark.parametrize(("name", "count"), [("walk/", 5), ("one.ply", 1), (BUNDLED, 1)])
@pytest.mark.usefixtures("splats")
def test_loading_has_progress_and_can_be_cancelled(
    scene_files, name, count, progress_bar, cancel_at, interrupt
):
    scene_files.STAG4DLoad.execute(name)
    assert progress_bar.reported == [(done, count) for done in range(1, count + 1)]
    cancel_at(count)
    with pytest.raises(interrupt):
        scene_files.STAG4DLoad.execute(name)
    assert len(progress_bar.reported) == count - 1
