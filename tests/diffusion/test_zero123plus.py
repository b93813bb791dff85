"""Conditioning and decoding of Zero123++, compared with a naive version of the published recipe."""

import copy
import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from diffusers import AutoencoderKL
from PIL import Image
from recording import Recorder
from transformers import CLIPTextModel, CLIPVisionModelWithProjection

from stag4d.diffusion import COND, UNCOND, SeededNoise, load_multiview_model
from stag4d.diffusion.folders import weight_sums
from stag4d.geometry import zero123plus_rig
from stag4d.progress import Interrupted

RAMP = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
EMPTY_PROMPT = [[0, 1, 1, 1, 1, 1, 1]]  # start token, end token, and padding, which is the end token
CLIP_SIZE, VAE_SIZE = 28, 24
NOISE = SeededNoise(3)


def image_processor(size, mean, std):
    kind = getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
    return kind(
        size={"shortest_edge": size},
        crop_size={"height": size, "width": size},
        resample=3,
        image_mean=[mean] * 3,
        image_std=[std] * 3,
        rescale_factor=1 / 255,
    )


@pytest.fixture(scope="module")
def parts(published):
    """Text encoder, vision encoder and VAE, as their libraries load them."""
    kinds = {"text_encoder": CLIPTextModel, "vision_encoder": CLIPVisionModelWithProjection}
    text, vision = (kind.from_pretrained(published / name).eval() for name, kind in kinds.items())
    return text, vision, AutoencoderKL.from_pretrained(published / "vae", low_cpu_mem_usage=False).eval()


def frames(size, count=2):
    """Images and alphas that eight bits represent exactly; half of the alphas are 0 or 1."""
    generator = torch.Generator().manual_seed(size)
    images = torch.randint(0, 256, (count, size, size, 3), generator=generator)
    alphas = torch.randint(0, 256, (count, size, size), generator=generator)
    alphas[:, : size // 4], alphas[:, size // 4 : size // 2] = 0, 255
    return images / 255, alphas / 255


@torch.no_grad()
def naive_conditioning(parts, images, alphas):
    """Paste on gray 127, embed and encode each frame; return all three fields of the conditioning."""
    text, vision, vae = parts
    uncond = text(torch.tensor(EMPTY_PROMPT))[0]
    states, references = [], []
    for frame, (image, alpha) in enumerate(zip(images, alphas, strict=True)):
        rgba = (torch.cat([image, alpha[..., None]], dim=-1) * 255).round().to(torch.uint8)
        rgba = Image.fromarray(rgba.numpy(), "RGBA")
        gray = Image.fromarray(np.full((rgba.height, rgba.width, 3), 127, dtype=np.uint8), "RGB")
        gray.paste(rgba.convert("RGB"), mask=rgba.getchannel("A"))
        pixels = image_processor(CLIP_SIZE, 0.45, 0.27)(images=gray, return_tensors="pt").pixel_values
        image_embeds = vision(pixels).image_embeds
        states.append(uncond + image_embeds[:, None] * torch.tensor(RAMP)[:, None])
        pixels = image_processor(VAE_SIZE, 0.5, 0.8)(images=gray, return_tensors="pt").pixel_values
        pair = []
        for branch, image_bchw in ((UNCOND, torch.zeros_like(pixels)), (COND, pixels)):
            posterior = vae.encode(image_bchw).latent_dist
            fresh = NOISE.posterior(frame, branch, tuple(posterior.mean[0].shape))
            pair.append(posterior.mean[0] + posterior.std[0] * fresh)
        references.append(torch.stack(pair))
    return uncond, torch.cat(states), torch.stack(references)


@pytest.mark.parametrize("size", [24, 37, 50])
def test_conditioning_equals_the_published_recipe(model, parts, size):
    images, alphas = frames(size)
    found = model.encode_conditioning(images, alphas, NOISE)
    uncond, states, references = naive_conditioning(parts, images, alphas)
    torch.testing.assert_close(found.uncond_embeddings, uncond)
    torch.testing.assert_close(found.cond_embeddings, states, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.references, references, atol=1e-5, rtol=1e-5)
    assert found.references.shape == (2, 2, 4, VAE_SIZE // 2, VAE_SIZE // 2)
    assert (found.cond_embeddings[0] - found.cond_embeddings[1]).abs().max() > 1e-3


def test_colors_of_transparent_pixels_have_no_influence(model):
    images, alphas = frames(20)
    other = torch.where(alphas[..., None] == 0, 1 - images, images)
    assert not torch.equal(other, images)
    first, second = (model.encode_conditioning(each, alphas, NOISE) for each in (images, other))
    assert torch.equal(first.cond_embeddings, second.cond_embeddings)
    assert torch.equal(first.references, second.references)


def test_frames_are_encoded_independently(model):
    images, alphas = frames(20, count=3)
    together = model.encode_conditioning(images, alphas, SeededNoise(3, share_reference=True))
    for frame in range(3):
        one = slice(frame, frame + 1)
        alone = model.encode_conditioning(images[one], alphas[one], SeededNoise(3, share_reference=True))
        assert torch.equal(together.cond_embeddings[one], alone.cond_embeddings)
        assert torch.equal(together.references[one], alone.references)


def test_monitor_is_called_after_every_frame_and_can_interrupt(model):
    images, alphas = frames(20, count=3)
    recorder = Recorder()
    model.encode_conditioning(images, alphas, NOISE, recorder)
    assert recorder.units == [("encode", done, 3) for done in (1, 2, 3)]
    recorder = Recorder(("encode", 2))
    with pytest.raises(Interrupted):
        model.encode_conditioning(images, alphas, NOISE, recorder)
    assert recorder.units_of("encode") == [1, 2]


def test_conditioning_is_on_the_networks_device_even_if_the_buffers_are_not(model):
    """The meta device stands for a GPU: a host that moves weights may leave buffers where they were."""
    moved = copy.deepcopy(model)
    for network in (moved.unet, moved.vae, moved.vision_encoder):
        network.to("meta")
    assert moved.uncond_embeddings.device == moved.ramp.device == torch.device("cpu")
    found = moved.encode_conditioning(*frames(20), NOISE)
    assert {part.device.type for part in vars(found).values()} == {"meta"}
    expected = model.encode_conditioning(*frames(20), NOISE)
    assert {name: part.shape for name, part in vars(found).items()} == {
        name: part.shape for name, part in vars(expected).items()
    }


def test_model_with_another_grid_shares_its_networks_when_they_are_moved(model):
    first = copy.deepcopy(model)
    second = first.with_grid(first.grid.with_rig("v1.2"))
    assert (first.grid.poses, second.grid.poses) == (zero123plus_rig("v1.1"), zero123plus_rig("v1.2"))
    assert second.grid == replace(first.grid, poses=second.grid.poses)
    first.half()
    assert second.unet is first.unet
    assert second.uncond_embeddings.dtype == torch.float16
    assert first.fingerprint() != second.fingerprint()


def test_fingerprint_does_not_depend_on_the_order_of_diffusers_default_settings(published, tmp_path):
    """Diffusers lists the settings that a folder lacks in the order of a set, which varies between runs."""
    folder = shutil.copytree(published, tmp_path / "model")
    path = folder / "scheduler" / "scheduler_config.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({key: values[key] for key in ("beta_start", "beta_end", "prediction_type")}))
    first, second = load_multiview_model(folder), load_multiview_model(folder)
    lacking = first.scheduler.config["_use_default_values"]
    assert len(lacking) > 2
    second.scheduler.register_to_config(_use_default_values=lacking[::-1])
    assert second.scheduler.config["_use_default_values"] != lacking
    assert first.fingerprint() == second.fingerprint()


@pytest.mark.parametrize("name", ["beta_end", "prediction_type"])
def test_fingerprint_changes_with_the_noise_schedule(model, name):
    other = copy.copy(model)
    other.scheduler = copy.deepcopy(model.scheduler)
    other.scheduler.register_to_config(**{name: {"beta_end": 0.011, "prediction_type": "epsilon"}[name]})
    assert other.fingerprint() != model.fingerprint()


def test_fingerprint_equals_that_of_version_0_1_0(model):
    """The keys in the view folders of that version contain it."""
    schedule = sorted(item for item in model.scheduler.config.items() if not item[0].startswith("_"))
    sums = weight_sums(model.unet, model.vae, model.vision_encoder)
    settings = [schedule, model.grid, torch.float32, *(each.to_dict() for each in model.processors), sums]
    assert repr(model.grid).startswith("ViewGrid(poses=(OrbitPose(azimuth_deg=30.0, elevation_deg=30.0, ")
    digest = hashlib.sha256(repr(settings).encode())
    for tensor in (model.uncond_embeddings, model.ramp):
        digest.update(tensor.numpy().tobytes())
    assert model.fingerprint() == digest.hexdigest()


def test_grid_that_the_vae_cannot_produce_is_refused(model):
    with pytest.raises(ValueError, match="tiles of 15 pixels; expected a multiple of 2"):
        model.with_grid(replace(model.grid, tile_size=15))


@torch.no_grad()
def naive_views(vae, latents):
    """Unscale, decode, unscale, and cut three rows of two tiles of 16 pixels."""
    unscaled = latents[None] / 0.75 + 0.22
    pixels = vae.decode(unscaled / 0.18215).sample / 0.5 * 0.8
    image = ((pixels[0] + 1) / 2).clamp(0, 1)  # [3, 48, 32]
    tiles = []
    for row in range(3):
        for column in range(2):
            tiles.append(image[:, 16 * row : 16 * (row + 1), 16 * column : 16 * (column + 1)])
    return torch.stack(tiles).permute(0, 2, 3, 1)


def test_decoded_views_equal_the_published_recipe(model, parts):
    latents = torch.randn(4, 24, 16, generator=torch.Generator().manual_seed(1))
    views = model.decode(latents)
    expected = naive_views(parts[-1], latents)
    assert views.shape == (6, 16, 16, 3)
    assert 0.1 < ((expected > 0) & (expected < 1)).float().mean() < 1
    torch.testing.assert_close(views, expected, atol=1e-5, rtol=1e-5)


def test_half_precision_decodes_to_nearly_the_same_views_in_float32(model):
    latents = torch.randn(4, 24, 16, generator=torch.Generator().manual_seed(2))
    views = copy.deepcopy(model).half().decode(latents)
    assert views.dtype == torch.float32
    torch.testing.assert_close(views, model.decode(latents), atol=1e-2, rtol=0)


def test_latent_size_of_the_grid_follows_from_the_vae(model):
    assert model.grid_size == (24, 16)
