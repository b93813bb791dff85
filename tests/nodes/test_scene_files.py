"""STAG4DLoad and STAG4DSave: listed files, loaded scenes, and errors."""

from dataclasses import replace

import pytest
import torch


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
    assert names == ["cat.safetensors", "runs/dog.safetensors [output]"]


def test_listed_scenes_can_be_loaded(saved, scene_files, sliding_scene):
    for name in scene_files.scene_names():
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
        ("notes.txt", "is not a .safetensors file"),
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
