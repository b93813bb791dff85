"""STAG4DGuidanceFromModel on random stand-ins for the host's networks: errors, pose numbers, keys, cancel."""

import math
import sys
from types import SimpleNamespace

import pytest
import torch

from stag4d.geometry import OrbitPose
from stag4d.toys import toy_views

VIEWS = toy_views(5, 2, 24)


@pytest.fixture(scope="module")
def node(pack_module):
    return pack_module("nodes.guidance_from_model").STAG4DGuidanceFromModel


@pytest.fixture(scope="module")
def native(pack_module):
    return pack_module("nodes.host.native_zero123")


class Encoders(torch.nn.Module):
    """A CLIP vision model and the encoder of a VAE."""

    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Conv2d(3, 8, 8, stride=8)
        self.quant_conv = torch.nn.Conv2d(8, 8, 1)
        self.visual_projection = torch.randn(768, 3)
        self.num_embedded = 0

    def get_sd(self):
        return {"visual_projection.weight": self.visual_projection}

    def encode_image(self, images):
        self.num_embedded += 1
        return SimpleNamespace(image_embeds=images.mean(dim=(1, 2)) @ self.visual_projection.T)


@pytest.fixture
def networks(pack):
    """MODEL, CLIP_VISION and VAE with random weights; the model records the sizes of its batches."""
    torch.manual_seed(0)
    encoders = Encoders()
    model = sys.modules["comfy.model_base"].Stable_Zero123()
    model.cc_projection = torch.nn.Linear(772, 768)
    model.model_sampling = SimpleNamespace(sigmas=torch.linspace(0.03, 14.6, 1000))
    model.batch_sizes = []

    def apply_model(x, sigma, c_concat, c_crossattn, transformer_options):
        model.batch_sizes.append(len(x))
        model.options = transformer_options
        return x * (c_crossattn.mean(dim=(1, 2)) * sigma)[:, None, None, None] + c_concat

    model.apply_model = apply_model
    model.process_latent_in = lambda latents: 0.18215 * latents
    patcher = SimpleNamespace(model=model, patches={}, patches_uuid="1", load_device=torch.device("cpu"))
    patcher.model_options, patcher.wrappers = {"transformer_options": {}}, {}
    patcher.callbacks, patcher.object_patches = {}, {}
    vae_patcher = SimpleNamespace(model=encoders, is_dynamic=lambda: False)
    vae = SimpleNamespace(patcher=vae_patcher)
    return SimpleNamespace(model=patcher, clip_vision=encoders, vae=vae, encoders=encoders)


@pytest.fixture
def denoiser_for(node, networks, pack_module):
    """A function that prepares the guidance model of the node for views."""
    check_cancel = pack_module("nodes.host.progress").check_cancel

    def make(views=VIEWS, seed=0, monitor=check_cancel):
        (guidance,) = node.execute(networks.model, networks.clip_vision, networks.vae).args
        return guidance.denoiser_maker(seed, 0)(views, monitor)

    return make


class Flux:
    """Another model of the host."""


def test_other_models_are_rejected_by_name(node):
    model = SimpleNamespace(model=Flux())
    with pytest.raises(
        ValueError, match="the model is a Flux; expected Stable_Zero123, from Image Only Checkpoint"
    ):
        node.execute(model, None, None)


@pytest.mark.parametrize(("weights", "size"), [(torch.ones(1024, 3), 1024), (None, 0)])
def test_clip_vision_of_another_checkpoint_is_rejected(node, networks, monkeypatch, weights, size):
    state = {} if weights is None else {"visual_projection.weight": weights}
    monkeypatch.setattr(networks.clip_vision, "get_sd", lambda: state)
    with pytest.raises(ValueError, match=f"embeddings of size {size}; expected 768, from the checkpoint"):
        node.execute(networks.model, networks.clip_vision, networks.vae)


def test_vae_that_cannot_be_loaded_twice_is_rejected(node, networks):
    def clone(disable_dynamic, force_deepcopy):
        raise RuntimeError("cached_patcher_init is not initialized")

    patcher = SimpleNamespace(model=networks.encoders, clone=clone, is_dynamic=lambda: True)
    vae = SimpleNamespace(patcher=patcher)
    with pytest.raises(
        ValueError, match=r"a second time \(cached_.*\); connect that of Image Only Checkpoint Loader"
    ):
        node.execute(networks.model, networks.clip_vision, vae)


def test_vae_of_the_bundled_multi_view_model_is_rejected(node, networks):
    vae = SimpleNamespace(patcher=SimpleNamespace(model=torch.nn.Identity(), is_dynamic=lambda: False))
    with pytest.raises(ValueError, match="the VAE is a Identity; expected that of the checkpoint"):
        node.execute(networks.model, networks.clip_vision, vae)


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
        ),  # the last number is the polar angle of the condition
        ((90, -20), (0, 0), (math.radians(-20), -1, 0, math.radians(110))),
    ],
)
def test_pose_numbers_by_hand(native, condition, target, expected):
    poses = [
        OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation) for azimuth, elevation in (condition, target)
    ]
    assert native.pose_numbers(*poses) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("check", "num_embedded"), [(1, 0), (2, 1), (3, 2)])
def test_cancel_interrupts_the_preparation(denoiser_for, networks, cancel_at, interrupt, check, num_embedded):
    cancel_at(check)
    with pytest.raises(interrupt):
        denoiser_for()
    assert networks.encoders.num_embedded == num_embedded


def test_preparation_reports_both_passes_over_the_images(denoiser_for):
    calls = []
    denoiser_for(monitor=lambda *call, **details: calls.append(call))
    assert calls == [("guidance", done, 28) for done in range(29)]  # seven images of each of two frames


def test_networks_are_loaded_with_room_for_the_fit(node, networks):
    requests = sys.modules["comfy.model_management"].load_models_gpu.requests
    requests.clear()
    (guidance,) = node.execute(networks.model, networks.clip_vision, networks.vae).args
    guidance.denoiser_maker(0, 123)(VIEWS, lambda *call, **details: None)
    assert requests
    for models, work_bytes, is_full in requests:
        assert (models, work_bytes, is_full) == ([networks.model, guidance.vae_patcher], 123, True)


def test_vae_is_shared_unless_the_host_moves_its_weights(node, networks):
    (guidance,) = node.execute(networks.model, networks.clip_vision, networks.vae).args
    assert guidance.vae_patcher is networks.vae.patcher
    calls = []

    def clone(**options):
        calls.append(options)
        return networks.vae.patcher

    patcher = SimpleNamespace(model=networks.encoders, clone=clone, is_dynamic=lambda: True)
    vae = SimpleNamespace(patcher=patcher)
    node.execute(networks.model, networks.clip_vision, vae)
    assert calls == [{"disable_dynamic": True, "force_deepcopy": True}]


def test_vae_that_was_loaded_in_inference_mode_is_differentiable(denoiser_for, networks):
    with torch.inference_mode():
        for layer in (networks.encoders.encoder, networks.encoders.quant_conv):
            for name, weight in layer.named_parameters():
                setattr(layer, name, torch.nn.Parameter(weight.clone(), requires_grad=False))
    before = networks.encoders.encoder.weight
    assert before.is_inference()
    renders = torch.rand(1, 48, 48, 3, requires_grad=True)
    denoiser_for().encode(renders, torch.zeros(1, 4, 32, 32)).sum().backward()
    assert renders.grad.abs().min() > 0
    assert torch.equal(networks.encoders.encoder.weight, before)


def test_patches_and_wrappers_of_the_model_reach_its_unet(denoiser_for, networks):
    def patch():
        pass

    denoiser = denoiser_for()
    key = denoiser.key
    networks.model.model_options["transformer_options"] = {"patches": {"attn1_patch": [patch]}}
    networks.model.wrappers = {"diffusion_model": {"other": [patch]}}
    noisy, times = torch.randn(1, 4, 32, 32), torch.tensor([100])
    for scale, branches in ((1.0, [0]), (3.0, [0, 1])):
        denoiser.predict(noisy, times, [(0, 0)], [OrbitPose(azimuth_deg=40)], scale)
        options = networks.model.model.options
        assert options["patches"] == {"attn1_patch": [patch]}
        assert options["wrappers"] == {"diffusion_model": {"other": [patch]}}
        assert options["cond_or_uncond"] == branches
    calls = []

    def wrapper(apply_model, call):
        calls.append(call["cond_or_uncond"])
        return apply_model(call["input"], call["timestep"], **call["c"])

    networks.model.model_options["model_function_wrapper"] = wrapper
    denoiser.predict(noisy, times, [(0, 0)], [OrbitPose(azimuth_deg=40)], 3.0)
    assert calls == [[0, 1]]
    assert denoiser_for().key != key


def test_without_cfg_the_unconditional_branch_is_not_computed(denoiser_for, networks):
    denoiser = denoiser_for()
    poses = [OrbitPose(azimuth_deg=40), OrbitPose(azimuth_deg=-90, elevation_deg=20)]
    arguments = torch.randn(2, 4, 32, 32), torch.tensor([100, 600]), [(0, 0), (0, 3)], poses
    one, nearly_one, zero = (denoiser.predict(*arguments, scale) for scale in (1.0, 1 + 1e-9, 0.0))
    assert networks.model.model.batch_sizes == [2, 4, 4]
    torch.testing.assert_close(one, nearly_one, atol=1e-6, rtol=1e-6)
    assert (one - zero).abs().max() > 1e-2


def test_encoding_of_renders_is_differentiable_and_samples_the_posterior(denoiser_for):
    denoiser = denoiser_for()
    renders = torch.rand(1, 48, 48, 3, requires_grad=True)
    mean = denoiser.encode(renders, torch.zeros(1, 4, 32, 32))
    sampled = denoiser.encode(renders, torch.ones(1, 4, 32, 32))
    assert mean.shape == (1, 4, 32, 32)
    assert (sampled > mean).all()
    mean.sum().backward()
    assert renders.grad.abs().min() > 0


def change_weights(weights):
    with torch.no_grad():
        weights += 1e-3


def add_lora(networks):
    networks.model.patches = {"diffusion_model.out": []}


CHANGES = {
    "model": lambda networks: change_weights(networks.model.model.cc_projection.weight),
    "clip vision": lambda networks: change_weights(networks.encoders.visual_projection),
    "vae": lambda networks: change_weights(networks.encoders.quant_conv.weight),
    "lora": add_lora,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_key_depends_on_every_network(denoiser_for, networks, change):
    before = denoiser_for().key
    change(networks)
    assert denoiser_for().key != before


def test_key_depends_on_the_views(denoiser_for):
    assert denoiser_for(toy_views(6, 2, 24)).key != denoiser_for().key


def test_key_does_not_depend_on_computed_embeddings(denoiser_for, networks, monkeypatch):
    """They differ in the last bits between devices and thread counts."""
    before, encode = denoiser_for().key, networks.encoders.encode_image

    def rounded_differently(images):
        return SimpleNamespace(image_embeds=encode(images).image_embeds * (1 + 1e-6))

    monkeypatch.setattr(networks.encoders, "encode_image", rounded_differently)
    assert denoiser_for().key == before
