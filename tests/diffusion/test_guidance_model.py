"""A posed network prepared for the views of a video: conditioning, classifier-free guidance, resume keys."""

import copy
import hashlib

import pytest
import torch
from changed_views import changed_views
from recording import Recorder

from stag4d.diffusion import PoseConditionedDenoiser, load_guidance_model
from stag4d.diffusion.folders import weight_sums
from stag4d.geometry import OrbitPose
from stag4d.progress import Interrupted
from stag4d.view_set import ViewSet
from tiny_models import make_guidance_folder

TARGETS = [OrbitPose(azimuth_deg=40, elevation_deg=10), OrbitPose(azimuth_deg=-100, elevation_deg=-25)]
CONDITIONS = [(1, 0), (0, 4)]  # the second frame's input, the first frame's fourth view
TIMESTEPS = torch.tensor([30, 700])


def prepared(network, views, seed=1, **options):
    return PoseConditionedDenoiser(network, views, torch.Generator().manual_seed(seed), **options)


def noisy_latents():
    return torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def prior(guidance_model, views):
    return prepared(guidance_model, views)


class LinearNetwork:
    """A network that can be calculated by hand: its output is a sum of its inputs, one number per image."""

    latent_shape = (1, 1, 1)
    alphas_cumprod = torch.tensor([0.9, 0.1])
    key_parts = ("linear",)

    def __init__(self):
        self.calls = []

    def embed(self, images):
        self.calls.append(("embed", len(images)))
        return images.mean(dim=(1, 2, 3))[:, None]  # [B, 1]

    def encode_conditioning(self, images, generator):
        self.calls.append(("encode_conditioning", len(images)))
        return 100 * images.mean(dim=(1, 2, 3))[:, None, None, None]  # [B, 1, 1, 1]

    def tokens(self, embeddings, conditions, targets):
        turns = [
            target.azimuth_deg - condition.azimuth_deg
            for condition, target in zip(conditions, targets, strict=True)
        ]
        return (embeddings + 10_000 * torch.tensor(turns)[:, None])[:, None]  # [B, 1, 1]

    def predict(self, noisy, timesteps, latents, tokens):
        self.calls.append(("predict", timesteps.tolist()))
        return noisy + latents + tokens[..., None]

    def to_noise_prediction(self, output, noisy, timesteps):
        return -output


@pytest.fixture
def gray_views():
    """Two frames with two views at 90 and 180 degrees; gray values are 0.1 * frame + 0.01 * camera."""
    values = torch.tensor([[0.0, 0.01, 0.02], [0.1, 0.11, 0.12]])  # [F, 1 + V]
    images = values[..., None, None, None].expand(-1, -1, 4, 4, 3)
    poses = [OrbitPose(azimuth_deg=azimuth, elevation_deg=0) for azimuth in (0, 90, 180)]
    return ViewSet.from_orbit(
        images[:, 0], torch.ones(2, 4, 4), images[:, 1:], torch.ones(2, 2, 4, 4), poses[0], tuple(poses[1:])
    )


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
def test_prediction_is_conditioned_on_the_chosen_image_and_its_pose(gray_views, scale):
    network = LinearNetwork()
    prior = prepared(network, gray_views)
    poses = [OrbitPose(azimuth_deg=azimuth, elevation_deg=0) for azimuth in (45, 190)]
    noisy = torch.tensor([1000.0, 2000.0])[:, None, None, None]
    found = prior.predict(noisy, torch.tensor([0, 1]), [(1, 1), (0, 2)], poses, scale)
    cond = [1000 + 101 * 0.11 + 10_000 * -45, 2000 + 101 * 0.02 + 10_000 * 10]
    uncond = [1000, 2000]
    expected = [-(u + scale * (c - u)) for u, c in zip(uncond, cond, strict=True)]
    torch.testing.assert_close(found.flatten(), torch.tensor(expected), rtol=1e-5, atol=0)
    assert network.calls[-1] == ("predict", [0, 1] if scale == 1.0 else [0, 1, 0, 1])  # one call


def test_images_are_embedded_and_then_encoded_one_by_one(gray_views):
    network, recorder = LinearNetwork(), Recorder()
    prepared(network, gray_views, monitor=recorder)
    assert network.calls == [("embed", 1)] * 6 + [("encode_conditioning", 1)] * 6
    assert recorder.calls == [("guidance", done, 12) for done in range(13)]  # 0 before the first image


@pytest.mark.parametrize("done", [0, 1, 5, 6, 11])
def test_preparation_can_be_interrupted_before_and_after_every_image(gray_views, done):
    network = LinearNetwork()
    with pytest.raises(Interrupted):
        prepared(network, gray_views, monitor=Recorder(("guidance", done)))
    assert len(network.calls) == done


def test_half_precision_is_close_to_single(guidance_folder, views, prior):
    half = prepared(load_guidance_model(guidance_folder, dtype=torch.bfloat16), views)
    arguments = noisy_latents(), TIMESTEPS, CONDITIONS, TARGETS, 5.0
    expected, found = prior.predict(*arguments), half.predict(*arguments)
    assert found.dtype == torch.float32
    assert (found - expected).square().mean().sqrt() < 0.1 * expected.square().mean().sqrt()


def test_unconditional_branch_is_not_computed_at_guidance_scale_one(guidance_model, prior, monkeypatch):
    arguments = noisy_latents(), TIMESTEPS, CONDITIONS, TARGETS
    forward, sizes = type(guidance_model.unet).forward, []

    def count(self, sample, *rest, **options):
        sizes.append(len(sample))
        return forward(self, sample, *rest, **options)

    monkeypatch.setattr(type(guidance_model.unet), "forward", count)
    once, nearly, uncond = (prior.predict(*arguments, scale) for scale in (1.0, 1 + 1e-9, 0.0))
    assert sizes == [2, 4, 4]
    assert (once - nearly).abs().max() <= 1e-6 * nearly.abs().max()
    assert (once - uncond).abs().max() > 1e-2


def test_video_without_views_is_conditioned_on_its_frames_alone(guidance_model, views):
    none = views.view_images[:, :0], views.view_alphas[:, :0]
    alone = ViewSet.from_orbit(views.images, views.alphas, *none, views.input_pose, ())
    prior = prepared(guidance_model, alone)
    assert prior.poses == (views.input_pose,)
    noisy = noisy_latents()[:1]
    assert prior.predict(noisy, torch.tensor([5]), [(1, 0)], TARGETS[:1], 5.0).shape == (1, 4, 8, 8)


def test_key_changes_with_network_images_poses_and_noise(guidance_model, views, prior, tmp_path):
    other_model = load_guidance_model(make_guidance_folder(tmp_path, seed=4))
    v_prediction = copy.copy(guidance_model)
    v_prediction.prediction_type = "v_prediction"
    other_alphas = views.view_alphas.clone()
    other_alphas[1, 5, 2, 3] = 0.5
    keys = [
        prior.key,
        prepared(other_model, views).key,
        prepared(guidance_model, views, seed=2).key,
        prepared(v_prediction, views).key,
        prepared(guidance_model, changed_views(views, images=views.images.flip(0))).key,
        prepared(guidance_model, changed_views(views, view_alphas=other_alphas)).key,
        prepared(guidance_model, changed_views(views, view_poses=views.view_poses[::-1])).key,
    ]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "find",
    [
        lambda model: model.unet.conv_in.weight,
        lambda model: model.unet.mid_block.resnets[0].conv1.weight,
        lambda model: model.vae.encoder.mid_block.resnets[1].conv2.bias,
        lambda model: model.camera_projection.proj.bias,
        lambda model: model.image_encoder.visual_projection.weight,
    ],
)
def test_key_changes_with_every_network(guidance_model, views, prior, find):
    other = copy.deepcopy(guidance_model)
    find(other).view(-1)[1] += 0.1
    assert prepared(other, views).key != prior.key


def test_key_is_the_same_for_the_same_network_and_views(guidance_folder, views, prior):
    assert prepared(load_guidance_model(guidance_folder), views).key == prior.key


def test_key_does_not_depend_on_rounding_differences_between_devices(
    guidance_model, views, prior, monkeypatch
):
    kind = type(guidance_model)
    embed, posterior = kind.embed, kind.posterior
    monkeypatch.setattr(kind, "embed", lambda self, images: embed(self, images) * (1 + 1e-6))
    monkeypatch.setattr(
        kind, "posterior", lambda self, images: [part * (1 + 1e-6) for part in posterior(self, images)]
    )
    assert prepared(guidance_model, views).key == prior.key


def test_key_equals_that_of_version_0_1_0(guidance_model, views, prior):
    """Checkpoints of guided fits hold it."""
    digest = hashlib.sha256(repr((views.input_pose, views.view_poses)).encode())
    for tensor in (views.images, views.alphas, views.view_images, views.view_alphas):
        digest.update(repr(tuple(tensor.shape)).encode() + tensor.numpy().tobytes())
    digest.update(torch.Generator().manual_seed(1).get_state().numpy().tobytes())
    model = guidance_model
    sums = weight_sums(model.unet, model.vae, model.image_encoder, model.camera_projection)
    settings = torch.float32, "epsilon", model.processor.to_dict(), model.alphas_cumprod.tolist()
    parts = (*settings, sums, digest.hexdigest())
    assert prior.key == hashlib.sha256(repr(parts).encode()).hexdigest()


def test_weights_are_not_summed_unless_the_key_is_needed(views, monkeypatch):
    network = LinearNetwork()
    monkeypatch.setattr(LinearNetwork, "key_parts", property(lambda self: self.calls.append("key") or ("a",)))
    prior = prepared(network, views)
    assert "key" not in network.calls
    assert prior.key == prior.key
    assert network.calls.count("key") == 1
