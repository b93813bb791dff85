"""Parts of a multi-view folder read on their own: those of the loaded model."""

import pytest
import torch
from diffusers import EulerAncestralDiscreteScheduler

from stag4d.diffusion import (
    OwnTokens,
    SeededNoise,
    empty_prompt_embeddings,
    load_schedule,
    load_unet,
    load_vae,
    network_settings,
    published_rig,
    read_rig,
    read_sampling,
    trailing_timesteps,
    vision_processor,
    weight_paths,
)
from stag4d.geometry import zero123plus_rig
from tiny_models import TILE, make_multiview_folder


def test_rig_prepares_references_and_embeddings_as_the_model_does(published, model, video):
    rig, noise = read_rig(published), SeededNoise(0)
    images, alphas = video
    conditioning = model.encode_conditioning(images, alphas, noise)
    embeddings, references = [], []
    for image, alpha in zip(images, alphas, strict=True):
        pixels = rig.reference_pixels(image, alpha)
        posterior = model.vae.encode(pixels.permute(0, 3, 1, 2) * 2 - 1).latent_dist
        number = len(references)
        references.append(
            posterior.mean + posterior.std * noise.posterior(number, 1, posterior.mean.shape[1:])
        )
        embeddings.append(conditioning.cond_embeddings[number : number + 1] - conditioning.uncond_embeddings)
    torch.testing.assert_close(torch.cat(references), conditioning.references[:, 1])
    image_embedding = torch.cat(embeddings)[:, -1] / rig.ramp[-1]  # [F, D]
    torch.testing.assert_close(
        rig.embeddings(empty_prompt_embeddings(published), image_embedding), conditioning.cond_embeddings
    )
    assert rig.grid == model.grid


def test_rig_refuses_parts_of_another_model(published):
    rig = read_rig(published)
    with pytest.raises(
        ValueError, match=r"the prompt has 9 tokens of size 8, the rig 7 ramping coefficients"
    ):
        rig.embeddings(torch.zeros(1, 9, 8), torch.zeros(2, 8))
    with pytest.raises(ValueError, match=r"image embeddings have size 6; expected the parts of one model"):
        rig.embeddings(torch.zeros(1, 7, 8), torch.zeros(2, 6))


def test_published_rig_has_the_published_numbers():
    rig = published_rig("v1.2")
    assert rig.grid.poses == zero123plus_rig("v1.2")
    pixels = rig.reference_pixels(torch.ones(512, 512, 3), torch.ones(512, 512))
    assert pixels.shape == (1, 320, 320, 3)
    torch.testing.assert_close(pixels, torch.full_like(pixels, (1 - 0.5) / 0.8 / 2 + 0.5))
    linear = rig.embeddings(torch.zeros(1, 77, 4), torch.ones(1, 4))
    torch.testing.assert_close(linear[0, :, 0], torch.linspace(0, 1, 77))


def test_networks_are_those_of_the_model(published, model):
    unet, vae = load_unet(published, torch.float32), load_vae(published)
    for found, expected in ((unet, model.unet), (vae, model.vae)):
        torch.testing.assert_close(dict(found.state_dict()), dict(expected.state_dict()))
    sample, states = torch.randn(1, 4, 8, 8), torch.randn(1, 7, 8)
    exchange = {"cross_attention_kwargs": {"exchange": OwnTokens()}}
    torch.testing.assert_close(
        unet(sample, 3, states, **exchange).sample, model.unet(sample, 3, states, **exchange).sample
    )
    assert load_schedule(published).config == model.scheduler.config
    assert read_sampling(published) == model.sampling


def test_settings_have_the_defaults_of_the_library(published):
    settings = network_settings(published, "unet")
    assert settings["block_out_channels"] == [8, 16]
    assert settings["resnet_time_scale_shift"] == "default"  # the tiny file has it, too; a short one need not
    (published_file,) = weight_paths(published, "unet")
    assert published_file.name == "diffusion_pytorch_model.safetensors"
    assert network_settings(published, "vision_encoder")["layer_norm_eps"] == 1e-5
    assert vision_processor(published, 28).crop_size["height"] == 28


def test_settings_of_a_short_file_are_completed(tmp_path):
    folder = make_multiview_folder(tmp_path / "model")
    (folder / "unet" / "config.json").write_text('{"in_channels": 4}', encoding="utf-8")
    settings = network_settings(folder, "unet")
    assert settings["flip_sin_to_cos"] is True
    assert settings["norm_num_groups"] == 32


def test_prompt_embeddings_are_kept_until_a_file_changes(tmp_path, monkeypatch):
    folder = make_multiview_folder(tmp_path / "model")
    first = empty_prompt_embeddings(folder)
    monkeypatch.setattr(
        "stag4d.diffusion.empty_prompt.load_module",
        lambda *args: pytest.fail("the text encoder is loaded again"),
    )
    with torch.inference_mode():
        again = empty_prompt_embeddings(folder)
    assert torch.equal(first, again)
    assert not again.is_inference()
    monkeypatch.undo()
    other = make_multiview_folder(tmp_path / "other", seed=1)
    (other / "text_encoder" / "model.safetensors").replace(folder / "text_encoder" / "model.safetensors")
    assert not torch.equal(empty_prompt_embeddings(folder), first)


@pytest.mark.parametrize("steps", [1, 7, 28, 30, 36, 61, 75, 300, 1000])
def test_trailing_timesteps_are_those_of_diffusers(steps):
    scheduler = EulerAncestralDiscreteScheduler(timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    assert trailing_timesteps(steps, 1000) == [max(int(step), 0) for step in scheduler.timesteps]


def test_tile_size_is_that_of_the_index(published):
    assert read_rig(published).grid.tile_size == TILE
