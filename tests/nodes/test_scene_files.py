"""STAG4DLoad: which files it offers, what it opens, and what it refuses."""

import importlib

import pytest
import torch


@pytest.fixture(scope="module")
def scene_files(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.scene_files")


@pytest.fixture
def saved(pack, host_folders, sliding_scene):
    """A static scene in the input folder and the same one deeper in the output folder."""
    scene = importlib.import_module(f"{pack.__name__}.stag4d.scene")
    model = scene.GaussianModel4D(sliding_scene.gaussians, None, sliding_scene.info)
    for name in ("input/cat.safetensors", "output/runs/dog.safetensors"):
        scene.save_scene(host_folders / name, model)
    return host_folders


def test_scenes_of_both_folders_are_offered_and_nothing_else(saved, scene_files):
    (saved / "input" / "photo.png").touch()
    names = scene_files.STAG4DLoad.define_schema().inputs[0].options["options"]
    assert names == ["cat.safetensors", "runs/dog.safetensors [output]"]


def test_whatever_is_offered_can_be_opened(saved, scene_files, sliding_scene):
    for name in scene_files.scene_names():
        assert scene_files.STAG4DLoad.validate_inputs(name) is True
        (model,) = scene_files.STAG4DLoad.execute(name).args
        assert torch.equal(model.gaussians.sh0, sliding_scene.gaussians.sh0)
        assert model.info.num_frames == sliding_scene.info.num_frames


def test_a_loaded_scene_can_be_optimised_although_nodes_run_in_inference_mode(saved, scene_files):
    with torch.inference_mode():
        (model,) = scene_files.STAG4DLoad.execute("cat.safetensors").args
    assert not model.gaussians.means.is_inference()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../secret.safetensors", "lies outside"),
        ("../secret.safetensors [output]", "lies outside"),
        ("link.safetensors", "lies outside"),
        ("notes.txt", "is not a .safetensors file"),
        ("gone.safetensors", "was not found; choose a scene in the list"),
    ],
)
def test_other_files_are_refused_before_they_are_opened(saved, scene_files, name, words):
    secret = saved / "secret.safetensors"
    secret.touch()
    (saved / "input" / "notes.txt").touch()
    (saved / "input" / "link.safetensors").symlink_to(secret)
    said = scene_files.STAG4DLoad.validate_inputs(name)
    assert words in said
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        scene_files.STAG4DLoad.execute(name)


def test_an_absolute_path_is_refused(saved, scene_files):
    secret = saved / "secret.safetensors"
    secret.touch()
    assert "lies outside" in scene_files.STAG4DLoad.validate_inputs(str(secret))


def test_a_rewritten_scene_is_loaded_again(saved, scene_files):
    before = scene_files.STAG4DLoad.fingerprint_inputs("cat.safetensors")
    assert scene_files.STAG4DLoad.fingerprint_inputs("cat.safetensors") == before
    with (saved / "input" / "cat.safetensors").open("ab") as file:
        file.write(b" ")
    assert scene_files.STAG4DLoad.fingerprint_inputs("cat.safetensors") != before


def test_what_the_save_node_writes_the_load_node_opens(saved, scene_files, sliding_scene, pack):
    scene = importlib.import_module(f"{pack.__name__}.stag4d.scene")
    model = scene.GaussianModel4D(sliding_scene.gaussians, None, sliding_scene.info)
    (first,) = scene_files.STAG4DSave.execute(model, "films/ball").args
    (second,) = scene_files.STAG4DSave.execute(model, "films/ball").args
    assert first != second
    assert {first, second} <= set(scene_files.scene_names())
    (opened,) = scene_files.STAG4DLoad.execute(second).args
    assert torch.equal(opened.gaussians.means, model.gaussians.means)
