"""STAG4DLoadGuidance: a Zero123 model under the host's memory management, and STAG4DOptimize with it."""

import sys
from types import SimpleNamespace

import pytest
import torch

from tiny_models import make_guidance_folder, make_multiview_folder


@pytest.fixture
def loader(pack_module, host_folders):
    return pack_module("nodes.load_guidance").STAG4DLoadGuidance


@pytest.fixture
def guidance(loader, host_folders):
    make_guidance_folder(host_folders / "models" / "diffusers" / "tiny")
    return loader.execute(model="tiny", dtype="auto").args[0]


@pytest.fixture
def optimize(pack_module, small_presets):
    """A function that fits a small toy in inference mode and returns the scene."""
    views = pack_module("stag4d.toys").toy_views(3, 2, 24)
    settings = {"views": views, "preset": "fast", "steps": 6, "size": 24, "seed": 0}

    def run(**changes):
        with torch.inference_mode():
            return pack_module("nodes.optimize").STAG4DOptimize.execute(**settings | changes).args[0]

    return run


def test_folder_with_another_kind_of_model_is_rejected(loader, host_folders):
    make_multiview_folder(host_folders / "models" / "diffusers" / "other")
    assert (
        "other: is no guidance model, its model_index.json names 'Zero123PlusPipeline'"
        in loader.validate_inputs("other")
    )
    assert "no folder 'none'; expected one with a model_index.json" in loader.validate_inputs("none")
    with pytest.raises(ValueError, match="expected a Zero123 model"):
        loader.execute(model="other", dtype="float32")


def test_assumed_pose_conditioning_is_shown_and_a_choice_has_a_model_of_its_own(
    loader, guidance, monkeypatch
):
    server = sys.modules["server"].PromptServer.instance
    monkeypatch.setattr(server, "sent", [])
    monkeypatch.setattr(loader, "hidden", SimpleNamespace(unique_id="7"))
    assumed = loader.execute(model="tiny", dtype="auto")
    assert server.sent == [("text", ("7", assumed.ui.as_dict()["text"][0]), None)]
    assert "assumed pose conditioning zero123" in assumed.ui.as_dict()["text"][0]
    assert assumed.args[0].patcher is guidance.patcher
    same = loader.execute(model="tiny", dtype="auto", pose_conditioning="zero123")
    assert same.args[0].patcher is guidance.patcher
    assert same.ui is None
    other = loader.execute(model="tiny", dtype="auto", pose_conditioning="stable-zero123").args[0]
    assert other.patcher is not guidance.patcher
    assert other.patcher.model.model.pose_conditioning == "stable-zero123"


def test_bundled_model_states_its_pose_conditioning(loader, host_folders):
    assert loader.execute(model="bundled/mini-zero123", dtype="auto").ui is None


def test_folder_whose_name_suggests_another_pose_conditioning_asks(loader, host_folders):
    make_guidance_folder(host_folders / "models" / "diffusers" / "stable-zero123-diffusers")
    with pytest.raises(ValueError, match="choose with --guidance-pose, in ComfyUI with the input pose_cond"):
        loader.execute(model="stable-zero123-diffusers", dtype="auto")
    chosen = loader.execute(
        model="stable-zero123-diffusers", dtype="auto", pose_conditioning="stable-zero123"
    )
    assert chosen.ui is None


def test_two_fits_share_one_model_that_the_host_loads(optimize, guidance):
    requests = sys.modules["comfy.model_management"].load_models_gpu.requests
    requests.clear()
    plain, guided, again = optimize(), optimize(guidance=guidance), optimize(guidance=guidance)
    assert [models for models, *_ in requests] == [[guidance.patcher]] * 2
    assert not torch.equal(guided.gaussians.means, plain.gaussians.means)
    assert torch.equal(guided.gaussians.means, again.gaussians.means)


def test_weight_and_anchors_change_the_fit(optimize, guidance):
    default, weighted, nearest = (
        optimize(steps=12, guidance=guidance, **changes).gaussians.means
        for changes in ({}, {"guidance_weight": 5.0}, {"guidance_anchors": "nearest"})
    )
    assert not torch.equal(default, weighted)
    assert not torch.equal(default, nearest)


def test_loaders_of_one_folder_share_its_networks(loader, guidance):
    assert loader.execute(model="tiny", dtype="float32").args[0].patcher is guidance.patcher
    assert loader.execute(model="tiny", dtype="bfloat16").args[0].patcher is not guidance.patcher


def test_preparation_of_the_guidance_is_on_the_progress_bar(optimize, guidance, progress_bar):
    optimize(guidance=guidance)
    assert progress_bar.reported == [(done, 10) for done in range(1, 11)]  # 2 x 2 frames, and 6 steps


def test_cancel_interrupts_the_preparation_of_the_guidance(optimize, guidance, interrupt, monkeypatch):
    model = type(guidance.patcher.model.model)
    embed, calls = model.embed, []

    management = sys.modules["comfy.model_management"]

    def cancelled(self, images):
        calls.append(len(images))
        management.interrupt_current_processing()
        return embed(self, images)

    monkeypatch.setattr(model, "embed", cancelled)
    with pytest.raises(interrupt):
        optimize(guidance=guidance)
    assert calls == [1]  # one image of all


def test_cancelled_fit_with_guidance_resumes_to_the_same_scene(
    optimize, guidance, cancel_after_step, interrupt
):
    uninterrupted = optimize(guidance=guidance)
    cancel_after_step(3)
    with pytest.raises(interrupt):
        optimize(guidance=guidance)
    assert torch.equal(optimize(guidance=guidance).gaussians.means, uninterrupted.gaussians.means)
