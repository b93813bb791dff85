"""STAG4DLoadMultiView and STAG4DAnchoredMultiView: what they offer, and that the host is in charge."""

import gc
import importlib
import sys
import weakref

import pytest
import torch

from tiny_models import TILE, make_guidance_folder, make_multiview_folder

SETTINGS = {
    "steps": 3, "cfg": 4.0, "seed": 1, "anchor_strength": 0.5, "anchor_frame": 0, "input_elevation": 10.0,
    "previous_strength": 0.0, "share_noise": True, "share_reference_noise": False, "mattes": "border",
    "fps": 12.0,
}  # fmt: skip


@pytest.fixture
def node(pack, host_folders):
    def get(module, name):
        return getattr(importlib.import_module(f"{pack.__name__}.nodes.{module}"), name)

    return get


@pytest.fixture
def models(host_folders):
    """The host's folder of diffusers models, with a tiny one and other things in it."""
    root = host_folders / "models" / "diffusers"
    make_multiview_folder(root / "tiny")
    (root / "empty").mkdir()
    return root


@pytest.fixture
def load(node, models):
    loader = node("load_multiview", "STAG4DLoadMultiView")
    return lambda **settings: loader.execute(
        **{"model": "tiny", "dtype": "auto", "rig": "auto", **settings}
    ).args[0]


@pytest.fixture
def generate(node, load):
    anchored = node("anchored_multiview", "STAG4DAnchoredMultiView")
    handle = load()

    def call(images, mask=None, **settings):
        with torch.inference_mode():
            connected = {} if mask is None else {"mask": mask}
            settings = {"multiview": handle, **SETTINGS, **settings}
            return anchored.execute(images=images, **settings, **connected).args

    call.handle = handle
    return call


@pytest.fixture
def clip():
    """Three frames of a square that moves, and their mattes."""
    mask = torch.zeros(3, 40, 40)
    for frame, left in zip(mask, (8, 12, 16), strict=True):
        frame[10:30, left : left + 14] = 1
    return torch.rand(3, 40, 40, 3, generator=torch.Generator().manual_seed(2)), mask


def test_folders_with_an_index_are_offered(node, models):
    make_multiview_folder(models / "author" / "nested")
    folders = node("model_files", "model_folders")("multiview")
    assert [name for name in folders if not name.startswith("bundled/")] == ["tiny", "author/nested"]
    loader = node("load_multiview", "STAG4DLoadMultiView")
    assert loader.validate_inputs("tiny") is True
    assert "no folder '../tiny'; expected one with a model_index.json" in loader.validate_inputs("../tiny")


def test_type_and_rig_are_the_users(load):
    assert load().patcher.model.get_dtype() == torch.float32  # a processor is not good at half precision
    handle = load(dtype="bfloat16", rig="v1.2")
    assert handle.patcher.model.get_dtype() == torch.bfloat16
    assert handle.grid.poses[0].elevation_deg == 20


def test_another_rig_has_the_networks_that_are_there_and_its_own_cameras(load, generate, clip, node):
    first = generate.handle
    second, half = load(rig="v1.2"), load(dtype="bfloat16")
    assert second.patcher is first.patcher
    assert half.patcher is not first.patcher
    elevations = []
    for handle in (first, second, first):
        views, _, _ = generate(*clip, multiview=handle)
        elevations.append([pose.elevation_deg for pose in views.view_poses[:2]])
    assert elevations == [[30, -20], [20, -10], [30, -20]]
    assert (second.grid.tile_size, second.grid.latent_scale) == (TILE, first.grid.latent_scale)


def test_networks_that_nobody_holds_any_more_are_let_go(load):
    alive = weakref.ref(load(dtype="bfloat16").patcher)
    gc.collect()
    assert alive() is None
    assert load(dtype="bfloat16").patcher is not None


def test_models_that_ship_with_the_pack_come_first_each_with_its_loader(node, models, tmp_path, monkeypatch):
    weights = tmp_path / "weights"
    make_multiview_folder(weights / "mini-zero123plus", seed=1)
    make_guidance_folder(weights / "mini-zero123")
    folders = node("model_files", "model_folders")
    monkeypatch.setitem(folders.__globals__["bundled_models"].__globals__, "_WEIGHTS", weights)
    make_multiview_folder(
        models / "bundled" / "mini-zero123plus"
    )  # a folder of the same name does not hide it
    assert list(folders("multiview")) == ["bundled/mini-zero123plus", "tiny"]
    assert list(folders("guidance")) == ["bundled/mini-zero123", "tiny", "bundled/mini-zero123plus"]
    assert folders("multiview")["bundled/mini-zero123plus"] == weights / "mini-zero123plus"
    loader = node("load_multiview", "STAG4DLoadMultiView")
    assert loader.define_schema().inputs[0].options["options"][0] == "bundled/mini-zero123plus"
    assert loader.validate_inputs("bundled/mini-zero123plus") is True
    assert "no folder 'bundled/mini-zero123'" in loader.validate_inputs("bundled/mini-zero123")
    handle = loader.execute(model="bundled/mini-zero123plus", dtype="auto", rig="auto").args[0]
    assert handle.patcher.model.model.grid.tile_size == TILE


def test_a_folder_of_another_kind_is_refused(load, models):
    (models / "tiny" / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    with pytest.raises(ValueError, match="holds a StableDiffusionPipeline; expected a Zero123PlusPipeline"):
        load()


def test_views_have_the_poses_of_the_rig_and_pictures_of_every_frame(generate, clip):
    views, grid, view_images = generate(*clip)
    assert views.view_images.shape == (3, 6, TILE, TILE, 3)
    assert grid.shape == (3, 3 * TILE, 2 * TILE, 3)
    assert view_images.shape == (18, TILE, TILE, 3)
    assert torch.equal(grid[1, TILE : 2 * TILE, TILE:], view_images[6 + 3])  # second frame, second row, right
    assert (views.input_pose.elevation_deg, views.fps) == (10.0, 12.0)
    assert [pose.azimuth_deg for pose in views.view_poses] == [30, 90, 150, 210, 270, 330]
    assert torch.equal(views.alphas, clip[1])


def test_the_host_brings_the_model_to_its_device_before_the_work(generate, clip):
    requests = sys.modules["comfy.model_management"].load_models_gpu.requests
    requests.clear()
    generate(*clip)
    [(models, memory, is_full)] = requests
    assert models == [generate.handle.patcher]
    assert is_full
    one_frame = (
        (3 * TILE // 2) * (2 * TILE // 2) * 4 * 100_000
    )  # its latent in float32, the UNet's work on it
    assert memory == 3 * one_frame  # all three frames go at once


@pytest.mark.parametrize(("frames", "at_once"), [(1, 1), (7, 7), (8, 8), (200, 8)])
def test_room_is_asked_for_as_many_frames_as_go_at_once(generate, frames, at_once):
    requests = sys.modules["comfy.model_management"].load_models_gpu.requests
    requests.clear()
    generate.handle.loaded(1)
    generate.handle.loaded(frames)
    (_, one, _), (_, many, _) = requests
    assert many == at_once * one


def test_widgets_reach_the_sampler(generate, clip):
    default = generate(*clip)[2]
    for change in (
        {"seed": 2}, {"cfg": 2.0}, {"steps": 2}, {"anchor_strength": 0.1}, {"anchor_frame": 1},
        {"previous_strength": 0.3}, {"share_noise": False}, {"share_reference_noise": True},
        {"mattes": "none"},
    ):  # fmt: skip
        assert not torch.equal(generate(*clip, **change)[2], default), change
    assert torch.equal(generate(*clip)[2], default)


def test_without_mattes_whole_pictures_come_out(generate, clip):
    views, _, view_images = generate(*clip, mattes="none")
    assert views.view_alphas.min() == 1
    assert torch.equal(view_images, views.view_images.flatten(0, 1))


def test_progress_and_pictures_of_the_grid_go_to_the_host(generate, clip, node, monkeypatch):
    monkeypatch.setattr(
        sys.modules[node("anchored_multiview", "_Watcher").__module__], "PREVIEW_SECONDS", 0.0
    )
    generate(*clip)
    bar = sys.modules["comfy"].utils.ProgressBar
    assert bar.reported[-1] == (15, 15)
    assert [done for done, _ in bar.reported] == sorted(done for done, _ in bar.reported)
    assert len(bar.previews) == 3
    kind, picture, largest = bar.previews[0]
    assert (kind, largest) == ("JPEG", 512)
    assert picture.width * 3 == picture.height * 2


def test_a_cancelled_run_goes_on_with_the_same_prompt(generate, clip, node, host_folders, monkeypatch):
    whole = generate(*clip)[2]
    management = sys.modules["comfy.model_management"]
    asked = []

    def cancel_in_the_second_step():
        asked.append(None)
        if len(asked) == 5:  # three frames are encoded, then a step is done
            raise management.InterruptProcessingException

    with monkeypatch.context() as patch:
        patch.setattr(management, "throw_exception_if_processing_interrupted", cancel_in_the_second_step)
        with pytest.raises(management.InterruptProcessingException):
            generate(*clip)
    assert len(list((host_folders / "temp" / "stag4d").glob("unfinished_*.latents"))) == 1
    assert torch.equal(generate(*clip)[2], whole)
    bar = sys.modules["comfy"].utils.ProgressBar
    assert (6, 15) not in bar.reported  # the first step was not done again
    assert not list((host_folders / "temp" / "stag4d").iterdir())


def test_frames_that_cannot_serve_are_refused(generate, clip):
    images, mask = clip
    with pytest.raises(ValueError, match="frames: image 0 came without a matte"):
        generate(images)
    with pytest.raises(ValueError, match="image 1 has an empty matte"):
        generate(images, mask * torch.tensor([1.0, 0.0, 1.0])[:, None, None])
    with pytest.raises(ValueError, match="anchor frame 3 of 3 frames"):
        generate(*clip, anchor_frame=3)
    with pytest.raises(ValueError, match=r"40x30 pixels; expected square"):
        generate(images[:, :30], mask[:, :30])
