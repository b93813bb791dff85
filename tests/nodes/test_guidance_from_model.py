"""STAG4DGuidanceFromModel: what it refuses, and its own pose numbers. The rest needs a real host."""

import importlib
import math
import sys
from types import SimpleNamespace

import pytest
import torch

from stag4d.geometry import OrbitPose
from stag4d.toys import toy_views


@pytest.fixture(scope="module")
def native(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.native_guidance")


class Flux:
    """Another model of the host."""


def test_another_model_is_refused_by_what_it_is(native):
    model = SimpleNamespace(model=Flux())
    with pytest.raises(
        ValueError, match="the model is a Flux; expected Stable_Zero123, as Image Only Checkpoint"
    ):
        native.STAG4DGuidanceFromModel.execute(model, None, None)


def test_a_vae_that_cannot_be_loaded_twice_is_refused_with_the_loaders_that_can(native):
    def clone(force_deepcopy):
        raise RuntimeError("cached_patcher_init is not initialized")

    model = SimpleNamespace(model=sys.modules["comfy.model_base"].Stable_Zero123())
    vae = SimpleNamespace(patcher=SimpleNamespace(clone=clone))
    with pytest.raises(
        ValueError, match=r"a second time \(cached_.*\); take it from Image Only Checkpoint Loader"
    ):
        native.STAG4DGuidanceFromModel.execute(model, None, vae)


@pytest.mark.parametrize(
    ("condition", "target", "expected"),
    [
        ((0, 0), (0, 0), (0, 0, 1, math.pi / 2)),
        (
            (0, 0),
            (90, 30),
            (-math.pi / 6, 1, 0, math.pi / 2),
        ),  # up is a smaller polar angle, right is positive
        (
            (30, 30),
            (30, 0),
            (math.pi / 6, 0, 1, math.radians(60)),
        ),  # the condition's own polar angle comes last
        ((90, -20), (0, 0), (math.radians(-20), -1, 0, math.radians(110))),
    ],
)
def test_pose_numbers_by_hand(native, condition, target, expected):
    poses = [
        OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation) for azimuth, elevation in (condition, target)
    ]
    assert native.pose_numbers(*poses) == pytest.approx(expected, abs=1e-9)


class Host:
    """The host's model: scales what it sees by its conditions, and notes the sizes of its calls."""

    def __init__(self):
        self.cc_projection = torch.nn.Linear(772, 768)
        self.model_sampling = SimpleNamespace(sigmas=torch.linspace(0.03, 14.6, 1000))
        self.sizes = []

    def apply_model(self, x, sigma, c_concat, c_crossattn):
        self.sizes.append(len(x))
        return x * (c_crossattn.mean(dim=(1, 2)) * sigma)[:, None, None, None] + c_concat

    def process_latent_in(self, latents):
        return 0.18215 * latents


class Pictures:
    """Encoder of pictures, and the first half of a VAE, both random."""

    def __init__(self):
        self.encoder = torch.nn.Conv2d(3, 8, 8, stride=8)
        self.quant_conv = torch.nn.Conv2d(8, 8, 1)

    def encode_image(self, images):
        return SimpleNamespace(image_embeds=images.mean(dim=(1, 2)).repeat(1, 256))


@pytest.fixture
def guidance(native):
    """What the node puts out, for a host of random numbers on the CPU."""
    torch.manual_seed(0)
    pictures = Pictures()
    model = SimpleNamespace(model=Host(), patches={}, load_device=torch.device("cpu"))
    return native.NativeGuidance(model, pictures, SimpleNamespace(model=pictures))


@pytest.mark.parametrize("heard_at", [1, 3])
def test_a_cancel_is_heard_while_pictures_are_embedded(native, guidance, monkeypatch, heard_at):
    management = sys.modules["comfy.model_management"]
    asked = []

    def cancel():
        asked.append(None)
        if len(asked) == heard_at:
            raise management.InterruptProcessingException

    monkeypatch.setattr(management, "throw_exception_if_processing_interrupted", cancel)
    with pytest.raises(management.InterruptProcessingException):
        native.NativePrior(guidance, toy_views(5, 2, 24), 0)


def test_without_guidance_the_blank_half_is_not_computed_and_nothing_else_changes(native, guidance):
    host = guidance.model.model
    prior = native.NativePrior(guidance, toy_views(5, 1, 24), 0)
    poses = [OrbitPose(azimuth_deg=40), OrbitPose(azimuth_deg=-90, elevation_deg=20)]
    arguments = torch.randn(2, 4, 32, 32), torch.tensor([100, 600]), [(0, 0), (0, 3)], poses
    once, nearly, blank = (prior.predict(*arguments, scale) for scale in (1.0, 1 + 1e-9, 0.0))
    assert host.sizes == [2, 4, 4]
    torch.testing.assert_close(once, nearly, atol=1e-6, rtol=1e-6)
    assert (once - blank).abs().max() > 1e-2
