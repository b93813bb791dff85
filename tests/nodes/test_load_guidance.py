"""STAG4DLoadGuidance: a posed prior that the host manages, and STAG4DOptimize with it."""

import importlib
import sys

import pytest
import torch

from tiny_models import make_guidance_folder, make_multiview_folder


@pytest.fixture
def node(pack, host_folders):
    def get(module, name):
        return getattr(importlib.import_module(f"{pack.__name__}.nodes.{module}"), name)

    return get


@pytest.fixture
def guidance(node, host_folders):
    make_guidance_folder(host_folders / "models" / "diffusers" / "tiny")
    return node("guidance", "STAG4DLoadGuidance").execute(model="tiny", dtype="auto").args[0]


def test_a_folder_of_another_kind_is_refused(node, host_folders):
    make_multiview_folder(host_folders / "models" / "diffusers" / "other")
    loader = node("guidance", "STAG4DLoadGuidance")
    assert loader.validate_inputs("other") is True
    assert "no folder 'none'; expected one with a model_index.json" in loader.validate_inputs("none")
    with pytest.raises(ValueError, match="expected a posed prior of the Zero123 kind"):
        loader.execute(model="other", dtype="float32")


def test_two_fits_share_one_model_which_the_host_loads(pack, node, guidance):
    views = importlib.import_module(f"{pack.__name__}.stag4d.toys").toy_views(3, 2, 24)
    optimize = node("optimize", "STAG4DOptimize").execute
    settings = {"views": views, "preset": "fast", "steps": 6, "size": 24, "seed": 0}
    management = sys.modules["comfy.model_management"]
    management.load_models_gpu.requests.clear()
    with torch.inference_mode():
        plain = optimize(**settings).args[0]
        guided, again = (optimize(**settings, guidance=guidance).args[0] for _ in range(2))
    assert [models for models, *_ in management.load_models_gpu.requests] == [[guidance.patcher]] * 2
    assert not torch.equal(guided.gaussians.means, plain.gaussians.means)
    assert torch.equal(guided.gaussians.means, again.gaussians.means)


def test_weight_and_anchors_are_the_users(pack, node, guidance):
    views = importlib.import_module(f"{pack.__name__}.stag4d.toys").toy_views(3, 2, 24)
    optimize = node("optimize", "STAG4DOptimize").execute
    settings = {"views": views, "preset": "fast", "steps": 12, "size": 24, "seed": 0, "guidance": guidance}
    with torch.inference_mode():
        scenes = [
            optimize(**settings, **more).args[0].gaussians.means
            for more in ({}, {"guidance_weight": 5.0}, {"guidance_anchors": "nearest"})
        ]
    assert not torch.equal(scenes[0], scenes[1])
    assert not torch.equal(scenes[0], scenes[2])


def test_loaders_of_one_folder_share_its_networks(node, guidance, host_folders):
    load = node("guidance", "STAG4DLoadGuidance").execute
    assert load(model="tiny", dtype="float32").args[0].patcher is guidance.patcher
    assert load(model="tiny", dtype="bfloat16").args[0].patcher is not guidance.patcher


def test_a_cancel_is_heard_while_pictures_are_embedded(pack, node, guidance, host_folders, monkeypatch):
    views = importlib.import_module(f"{pack.__name__}.stag4d.toys").toy_views(3, 3, 24)
    management = sys.modules["comfy.model_management"]
    embed, asked = type(guidance.patcher.model.model).embed, []

    def count(self, pictures):
        asked.append(pictures)
        return embed(self, pictures)

    def cancel():
        raise management.InterruptProcessingException

    monkeypatch.setattr(type(guidance.patcher.model.model), "embed", count)
    monkeypatch.setattr(management, "throw_exception_if_processing_interrupted", cancel)
    with pytest.raises(management.InterruptProcessingException):
        node("optimize", "STAG4DOptimize").execute(views, "fast", 6, 24, 0, guidance=guidance)
    assert len(asked) == 1
