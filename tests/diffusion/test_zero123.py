"""The posed prior: its folder, and its numbers against a naive twin of the published recipe."""

import copy
import json
import math
import re
from dataclasses import replace

import pytest
import torch
import transformers
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file
from torch.nn.functional import interpolate
from transformers import CLIPVisionModelWithProjection

from stag4d.diffusion import PosedPrior, load_guidance_model, pose_numbers
from stag4d.geometry import OrbitPose, zero123plus_rig
from stag4d.types import ViewSet
from tiny_models import make_guidance_folder, make_multiview_folder

TARGETS = [OrbitPose(azimuth_deg=40, elevation_deg=10), OrbitPose(azimuth_deg=-100, elevation_deg=-25)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_guidance_folder(tmp_path_factory.mktemp("zero123"), seed=3)


@pytest.fixture(scope="module")
def model(folder):
    return load_guidance_model(folder)


@pytest.fixture(scope="module")
def views():
    """Two frames of 20 pixels with six views of 12."""
    draw = torch.Generator().manual_seed(0)
    return ViewSet(
        images=torch.rand(2, 20, 20, 3, generator=draw),
        alphas=(torch.rand(2, 20, 20, generator=draw) > 0.4).float(),
        view_images=torch.rand(2, 6, 12, 12, 3, generator=draw),
        view_alphas=(torch.rand(2, 6, 12, 12, generator=draw) > 0.4).float(),
        input_pose=OrbitPose(azimuth_deg=0, elevation_deg=5),
        view_poses=zero123plus_rig("v1.1"),
    )


@pytest.fixture
def prior(model, views):
    return PosedPrior(model, views, torch.Generator().manual_seed(1))


@torch.no_grad()
def naive_noise(folder, picture, draws, condition, target, noisy, timestep, scale):
    """Return what the published recipe says, for one latent, from the folder's files alone."""
    unet = UNet2DConditionModel.from_pretrained(folder / "unet")
    vae = AutoencoderKL.from_pretrained(folder / "vae")
    encoder = CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder")
    numbers = json.loads((folder / "feature_extractor" / "preprocessor_config.json").read_text())
    linear = load_file(folder / "clip_camera_projection" / "diffusion_pytorch_model.safetensors")
    small = interpolate(picture.permute(2, 0, 1)[None], (16, 16), mode="bilinear")
    pixels = (small[0] * 255).round().byte().permute(1, 2, 0).numpy()
    kind = getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
    embedding = encoder(kind(**numbers)(images=[pixels], return_tensors="pt").pixel_values).image_embeds
    posterior = vae.encode(small * 2 - 1).latent_dist
    latent = posterior.mean + posterior.std * draws
    polar = math.radians(condition.elevation_deg - target.elevation_deg)
    turn = math.radians(target.azimuth_deg - condition.azimuth_deg)
    camera = torch.tensor([[polar, math.sin(turn), math.cos(turn), 0.0]])
    token = torch.cat([embedding, camera], dim=1) @ linear["proj.weight"].T + linear["proj.bias"]
    cond = unet(torch.cat([noisy[None], latent], dim=1), timestep, token[None]).sample
    blank = torch.cat([noisy[None], torch.zeros_like(latent)], dim=1)
    uncond = unet(blank, timestep, torch.zeros_like(token[None])).sample
    return (uncond + scale * (cond - uncond))[0]


def test_the_noise_is_that_of_the_published_recipe(folder, prior, views):
    generator = torch.Generator().manual_seed(2)
    noisy = torch.randn(2, 4, 8, 8, generator=generator)
    timesteps = torch.tensor([30, 700])
    conditions = [(1, 0), (0, 4)]  # the second frame's input, the first frame's fourth view
    found = prior.predict(noisy, timesteps, conditions, TARGETS, 5.0)
    generator = torch.Generator().manual_seed(1)
    draws = torch.cat([torch.randn(7, 4, 8, 8, generator=generator) for _ in range(2)])  # frame by frame
    pictures = [
        (views.images[1], views.alphas[1], views.input_pose, 7),
        (views.view_images[0, 3], views.view_alphas[0, 3], views.view_poses[3], 4),
    ]
    for index, (image, alpha, condition, number) in enumerate(pictures):
        white = image * alpha[..., None] + 1 - alpha[..., None]
        large = interpolate(white.permute(2, 0, 1)[None], (20, 20), mode="bilinear")[0].permute(1, 2, 0)
        expected = naive_noise(
            folder, large, draws[[number]], condition, TARGETS[index], noisy[index], timesteps[index], 5.0
        )
        torch.testing.assert_close(found[index], expected, atol=1e-4, rtol=1e-4)


def test_a_velocity_is_told_as_noise(folder, model, prior, views):
    """With eps = sqrt(a) v + sqrt(1 - a) x, guidance among velocities is guidance among noises."""
    noisy = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    timesteps, conditions = torch.tensor([30, 700]), [(1, 0), (0, 4)]
    velocity = prior.predict(noisy, timesteps, conditions, TARGETS, 5.0)  # what this UNet says, taken as one
    telling = copy.copy(model)
    telling.prediction_type = "v_prediction"
    retold = PosedPrior(telling, views, torch.Generator().manual_seed(1))
    found = retold.predict(noisy, timesteps, conditions, TARGETS, 5.0)
    shares = DDIMScheduler.from_pretrained(folder / "scheduler").alphas_cumprod
    for row, timestep in enumerate(timesteps):
        share = shares[timestep].item()
        expected = math.sqrt(share) * velocity[row] + math.sqrt(1 - share) * noisy[row]
        torch.testing.assert_close(found[row], expected, atol=1e-5, rtol=1e-5)


def test_latents_of_renders_are_scaled_samples_and_differentiable(folder, prior):
    vae = AutoencoderKL.from_pretrained(folder / "vae")
    images = torch.rand(2, 24, 24, 3, generator=torch.Generator().manual_seed(4)).requires_grad_()
    draws = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    found = prior.encode(images, draws)
    small = interpolate(images.permute(0, 3, 1, 2), (16, 16), mode="bilinear")
    posterior = vae.encode(small * 2 - 1).latent_dist
    torch.testing.assert_close(
        found, 0.18215 * (posterior.mean + posterior.std * draws), atol=1e-5, rtol=1e-4
    )
    (gradient,) = torch.autograd.grad(found.sum(), images)
    assert gradient.abs().max() > 0


def test_signs_of_the_camera_numbers_by_hand():
    front, above, right = (
        OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation)
        for azimuth, elevation in ((0, 0), (0, 30), (90, 0))
    )
    assert pose_numbers(front, above) == pytest.approx(
        [-math.pi / 6, 0, 1, 0]
    )  # up is a smaller polar angle
    assert pose_numbers(above, front) == pytest.approx([math.pi / 6, 0, 1, 0])
    assert pose_numbers(front, right) == pytest.approx([0, 1, 0, 0], abs=1e-9)  # to the right is positive
    assert pose_numbers(right, front) == pytest.approx([0, -1, 0, 0], abs=1e-9)


def test_the_noise_schedule_is_the_folders(folder, model):
    scheduler = DDIMScheduler.from_pretrained(folder / "scheduler")
    assert torch.equal(model.alphas_cumprod, scheduler.alphas_cumprod)
    assert model.latent_shape == (4, 8, 8)
    assert model.image_size == 16


def test_every_embedded_frame_is_told(model, views):
    told = []
    PosedPrior(model, views, torch.Generator().manual_seed(1), on_frame=told.append)
    assert told == [1, 2]


def test_half_precision_is_close_to_single(folder, model, views, prior):
    half = PosedPrior(
        load_guidance_model(folder, dtype=torch.bfloat16), views, torch.Generator().manual_seed(1)
    )
    noisy = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    arguments = noisy, torch.tensor([30, 700]), [(1, 0), (0, 4)], TARGETS, 5.0
    expected, found = prior.predict(*arguments), half.predict(*arguments)
    assert found.dtype == torch.float32
    assert (found - expected).square().mean().sqrt() < 0.1 * expected.square().mean().sqrt()


def test_without_guidance_the_blank_half_is_not_computed_and_nothing_else_changes(prior, monkeypatch):
    noisy = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    arguments = noisy, torch.tensor([30, 700]), [(1, 0), (0, 4)], TARGETS
    predict, sizes = type(prior.model.unet).forward, []

    def count(self, sample, *rest, **options):
        sizes.append(len(sample))
        return predict(self, sample, *rest, **options)

    monkeypatch.setattr(type(prior.model.unet), "forward", count)
    once, nearly, blank = (prior.predict(*arguments, scale) for scale in (1.0, 1 + 1e-9, 0.0))
    assert sizes == [2, 4, 4]
    assert (once - nearly).abs().max() <= 1e-6 * nearly.abs().max()
    assert (once - blank).abs().max() > 1e-2


def test_a_clip_without_views_has_its_frames_alone(model, views):
    none = views.view_images[:, :0], views.view_alphas[:, :0]
    alone = ViewSet(views.images, views.alphas, *none, views.input_pose, ())
    prior = PosedPrior(model, alone, torch.Generator().manual_seed(1))
    assert prior.poses == (views.input_pose,)
    noisy = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    assert prior.predict(noisy, torch.tensor([5]), [(1, 0)], TARGETS[:1], 5.0).shape == (1, 4, 8, 8)


def test_the_key_tells_models_and_clips_apart(folder, model, views, prior, tmp_path):
    other_model = load_guidance_model(make_guidance_folder(tmp_path, seed=4))
    shifted = replace(views, images=views.images.flip(0))
    telling = copy.copy(model)
    telling.prediction_type = "v_prediction"
    seeded = torch.Generator().manual_seed
    keys = [
        prior.key,
        PosedPrior(other_model, views, seeded(1)).key,
        PosedPrior(model, shifted, seeded(1)).key,
        PosedPrior(model, views, seeded(2)).key,
        PosedPrior(telling, views, seeded(1)).key,
        PosedPrior(model, replace(views, view_poses=views.view_poses[::-1]), seeded(1)).key,
    ]
    assert len(set(keys)) == 6


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
def test_the_key_knows_every_weight(model, views, prior, find):
    other = copy.deepcopy(model)
    find(other).view(-1)[1] += 0.1
    assert PosedPrior(other, views, torch.Generator().manual_seed(1)).key != prior.key


def test_the_key_of_the_same_model_and_clip_is_the_same(folder, views, prior):
    seeded = torch.Generator().manual_seed
    assert PosedPrior(load_guidance_model(folder), views, seeded(1)).key == prior.key


def test_the_key_does_not_depend_on_how_a_device_rounds(model, views, prior, monkeypatch):
    embed, posterior = type(model).embed, type(model).posterior
    monkeypatch.setattr(type(model), "embed", lambda self, images: embed(self, images) * (1 + 1e-6))
    monkeypatch.setattr(
        type(model), "posterior", lambda self, images: [part * (1 + 1e-6) for part in posterior(self, images)]
    )
    assert PosedPrior(model, views, torch.Generator().manual_seed(1)).key == prior.key


def refusal(where, words):
    return pytest.raises((ValueError, FileNotFoundError), match=rf"^{re.escape(str(where))}[^\n]*{words}")


def test_folders_of_another_kind_are_refused_by_what_they_are(tmp_path):
    multiview = make_multiview_folder(tmp_path / "multiview")
    with refusal(multiview, "holds a Zero123PlusPipeline; expected a posed prior of the Zero123 kind"):
        load_guidance_model(multiview)
    with refusal(tmp_path / "none", "model_index.json: no such file"):
        load_guidance_model(tmp_path / "none")


@pytest.mark.parametrize(
    ("part", "field", "value", "words"),
    [
        (
            "scheduler/scheduler_config.json",
            "prediction_type",
            "sample",
            "'sample'; expected one of epsilon, v_prediction",
        ),
        ("clip_camera_projection/config.json", "additional_embeddings", 3, "cannot be read"),
        ("unet/config.json", "in_channels", 4, "cannot be read"),
    ],
)
def test_parts_that_do_not_fit_are_refused(tmp_path, part, field, value, words):
    folder = make_guidance_folder(tmp_path)
    path = folder / part
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with refusal(path.parent, words):
        load_guidance_model(folder)


def test_missing_parts_are_named(tmp_path):
    folder = make_guidance_folder(tmp_path)
    (folder / "clip_camera_projection" / "diffusion_pytorch_model.safetensors").unlink()
    with refusal(folder / "clip_camera_projection", "no weights; expected a file such as"):
        load_guidance_model(folder)


@pytest.mark.parametrize(("half", "safe"), [(True, True), (False, False)])
def test_other_ways_of_storing_load_too(tmp_path, model, half, safe):
    other = load_guidance_model(make_guidance_folder(tmp_path, seed=3, half=half, safe=safe))
    for found, expected in zip(other.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-3 if half else 0, rtol=1e-3 if half else 0)
