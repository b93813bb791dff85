"""Zero123: loading of its folder, and its numbers compared with a naive version of the published recipe."""

import copy
import json
import math
import re

import pytest
import torch
import transformers
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file
from torch.nn.functional import interpolate
from transformers import CLIPVisionModelWithProjection

from stag4d.diffusion import PoseConditionedDenoiser, load_guidance_model, pose_numbers
from stag4d.geometry import OrbitPose
from tiny_models import make_guidance_folder, make_multiview_folder

TARGETS = [OrbitPose(azimuth_deg=40, elevation_deg=10), OrbitPose(azimuth_deg=-100, elevation_deg=-25)]
CONDITIONS = [(1, 0), (0, 4)]  # the second frame's input, the first frame's fourth view
TIMESTEPS = torch.tensor([30, 700])


@pytest.fixture(scope="module")
def prior(guidance_model, views):
    return PoseConditionedDenoiser(guidance_model, views, torch.Generator().manual_seed(1))


@torch.no_grad()
def naive_noise(folder, image, fresh, condition, target, noisy, timestep, scale):
    """Return the noise prediction of the published recipe, for one latent, from the folder's files alone."""
    unet = UNet2DConditionModel.from_pretrained(folder / "unet")
    vae = AutoencoderKL.from_pretrained(folder / "vae")
    encoder = CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder")
    settings = json.loads((folder / "feature_extractor" / "preprocessor_config.json").read_text())
    linear = load_file(folder / "clip_camera_projection" / "diffusion_pytorch_model.safetensors")
    small = interpolate(image.permute(2, 0, 1)[None], (16, 16), mode="bilinear")
    pixels = (small[0] * 255).round().byte().permute(1, 2, 0).numpy()
    kind = getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
    embedding = encoder(kind(**settings)(images=[pixels], return_tensors="pt").pixel_values).image_embeds
    posterior = vae.encode(small * 2 - 1).latent_dist
    latent = posterior.mean + posterior.std * fresh
    polar = math.radians(condition.elevation_deg - target.elevation_deg)
    turn = math.radians(target.azimuth_deg - condition.azimuth_deg)
    pose = torch.tensor([[polar, math.sin(turn), math.cos(turn), 0.0]])
    token = torch.cat([embedding, pose], dim=1) @ linear["proj.weight"].T + linear["proj.bias"]
    cond = unet(torch.cat([noisy[None], latent], dim=1), timestep, token[None]).sample
    blank = torch.cat([noisy[None], torch.zeros_like(latent)], dim=1)
    uncond = unet(blank, timestep, torch.zeros_like(token[None])).sample
    return (uncond + scale * (cond - uncond))[0]


def test_noise_prediction_equals_the_published_recipe(guidance_folder, prior, views):
    generator = torch.Generator().manual_seed(2)
    noisy = torch.randn(2, 4, 8, 8, generator=generator)
    found = prior.predict(noisy, TIMESTEPS, CONDITIONS, TARGETS, 5.0)
    generator = torch.Generator().manual_seed(1)
    fresh = torch.cat([torch.randn(7, 4, 8, 8, generator=generator) for _ in range(2)])  # frame by frame
    images = [
        (views.images[1], views.alphas[1], views.input_pose, 7),
        (views.view_images[0, 3], views.view_alphas[0, 3], views.view_poses[3], 4),
    ]
    for row, (image, alpha, condition, number) in enumerate(images):
        white = image * alpha[..., None] + 1 - alpha[..., None]
        large = interpolate(white.permute(2, 0, 1)[None], (20, 20), mode="bilinear")[0].permute(1, 2, 0)
        expected = naive_noise(
            guidance_folder, large, fresh[[number]], condition, TARGETS[row], noisy[row], TIMESTEPS[row], 5.0
        )
        torch.testing.assert_close(found[row], expected, atol=1e-4, rtol=1e-4)


def test_v_prediction_is_converted_to_noise(guidance_folder, guidance_model, prior, views):
    """With eps = sqrt(a) v + sqrt(1 - a) x, guidance of v-predictions is guidance of noise predictions."""
    noisy = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    output = prior.predict(noisy, TIMESTEPS, CONDITIONS, TARGETS, 5.0)
    v_prediction = copy.copy(guidance_model)
    v_prediction.prediction_type = "v_prediction"
    other = PoseConditionedDenoiser(v_prediction, views, torch.Generator().manual_seed(1))
    found = other.predict(noisy, TIMESTEPS, CONDITIONS, TARGETS, 5.0)
    alphas_cumprod = DDIMScheduler.from_pretrained(guidance_folder / "scheduler").alphas_cumprod
    for row, timestep in enumerate(TIMESTEPS):
        a = alphas_cumprod[timestep].item()
        expected = math.sqrt(a) * output[row] + math.sqrt(1 - a) * noisy[row]
        torch.testing.assert_close(found[row], expected, atol=1e-5, rtol=1e-5)


def test_render_latents_are_scaled_posterior_samples_and_differentiable(guidance_folder, prior):
    vae = AutoencoderKL.from_pretrained(guidance_folder / "vae")
    images = torch.rand(2, 24, 24, 3, generator=torch.Generator().manual_seed(4)).requires_grad_()
    fresh = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    found = prior.encode(images, fresh)
    small = interpolate(images.permute(0, 3, 1, 2), (16, 16), mode="bilinear")
    posterior = vae.encode(small * 2 - 1).latent_dist
    torch.testing.assert_close(
        found, 0.18215 * (posterior.mean + posterior.std * fresh), atol=1e-5, rtol=1e-4
    )
    (gradient,) = torch.autograd.grad(found.sum(), images)
    assert gradient.abs().max() > 0


def test_signs_of_the_pose_numbers():
    front, above, right = (
        OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation)
        for azimuth, elevation in ((0, 0), (0, 30), (90, 0))
    )
    assert pose_numbers(front, above) == pytest.approx([-math.pi / 6, 0, 1, 0])  # up is a smaller polar angle
    assert pose_numbers(above, front) == pytest.approx([math.pi / 6, 0, 1, 0])
    assert pose_numbers(front, right) == pytest.approx([0, 1, 0, 0], abs=1e-9)  # to the right is positive
    assert pose_numbers(right, front) == pytest.approx([0, -1, 0, 0], abs=1e-9)


def test_noise_schedule_is_that_of_the_folder(guidance_folder, guidance_model):
    scheduler = DDIMScheduler.from_pretrained(guidance_folder / "scheduler")
    assert torch.equal(guidance_model.alphas_cumprod, scheduler.alphas_cumprod)
    assert guidance_model.latent_shape == (4, 8, 8)
    assert guidance_model.image_size == 16


def refusal(where, words):
    return pytest.raises((ValueError, FileNotFoundError), match=rf"^{re.escape(str(where))}[^\n]*{words}")


def test_folders_of_another_model_class_are_refused(tmp_path):
    multiview = make_multiview_folder(tmp_path / "multiview")
    with refusal(
        multiview, "holds a Zero123PlusPipeline; expected a Zero123 model, which has a clip_camera_projection"
    ):
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
def test_parts_of_mismatched_dimensions_are_refused(tmp_path, part, field, value, words):
    folder = make_guidance_folder(tmp_path)
    path = folder / part
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with refusal(path.parent, words):
        load_guidance_model(folder)


def test_missing_weights_are_named(tmp_path):
    folder = make_guidance_folder(tmp_path)
    (folder / "clip_camera_projection" / "diffusion_pytorch_model.safetensors").unlink()
    with refusal(folder / "clip_camera_projection", "no weights; expected a file such as"):
        load_guidance_model(folder)


@pytest.mark.parametrize(("half", "safe"), [(True, True), (False, False)])
def test_half_precision_and_pickled_weights_load(tmp_path, guidance_model, half, safe):
    other = load_guidance_model(make_guidance_folder(tmp_path, seed=3, half=half, safe=safe))
    for found, expected in zip(other.parameters(), guidance_model.parameters(), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-3 if half else 0, rtol=1e-3 if half else 0)
