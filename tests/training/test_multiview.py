"""Training of the multi-view model: targets, folders, continued training."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from stag4d.diffusion.denoiser import denoised_estimate
from training.autoencoder import CHANNELS, make_autoencoder
from training.multiview import (
    Learner,
    make_scheduler,
    make_text_encoder,
    make_unet,
    noised,
    predict_velocity,
    read_networks,
    write_folder,
)
from training.toys import SIZE
from training.vision import WIDTH, OutlineModel


@pytest.mark.parametrize("is_start", [False, True])
def test_clean_estimate_of_the_true_velocity_is_the_latents(is_start):
    scheduler = make_scheduler()
    alpha = scheduler.alphas_cumprod[-1]
    sigma = ((1 - alpha) / alpha).sqrt().item()
    generator = torch.Generator().manual_seed(0)
    latents, noise = (torch.randn(2, 3, 4, 5, generator=generator) for _ in range(2))
    noisy, velocity = noised(latents, noise, alpha.reshape(1, 1, 1, 1), torch.full((2, 1, 1, 1), is_start))
    unscaled = noisy * (sigma**2 + 1) ** 0.5
    torch.testing.assert_close(unscaled, sigma * noise + (0 if is_start else 1) * latents)
    found = denoised_estimate(unscaled, velocity, sigma, "v_prediction")
    torch.testing.assert_close(found, latents, rtol=1e-4, atol=1e-4)


def test_networks_of_a_folder_are_read_for_continued_training(tmp_path):
    torch.manual_seed(0)
    learner = Learner(make_unet(), OutlineModel().encoder, torch.zeros(1, 8, WIDTH))
    text_encoder = make_text_encoder()
    write_folder(tmp_path, learner, make_autoencoder(), text_encoder)
    unet, encoder, read_text_encoder = read_networks(tmp_path)
    tokens = torch.tensor([[0, 1, 1]])
    reference, grid = torch.randn(1, CHANNELS, 8, 8), torch.randn(1, CHANNELS, 24, 16)
    given = (reference, grid, torch.tensor([9]), torch.randn(1, 8, WIDTH))
    image = torch.randn(1, 3, SIZE, SIZE)
    half = {"rtol": 5e-2, "atol": 5e-3}  # folders are in half precision
    with torch.no_grad():
        torch.testing.assert_close(
            predict_velocity(unet, *given), predict_velocity(learner.unet, *given), **half
        )
        torch.testing.assert_close(
            encoder(image).image_embeds, learner.vision_encoder(image).image_embeds, **half
        )
        torch.testing.assert_close(read_text_encoder(tokens)[0], text_encoder(tokens)[0], **half)
    names = load_file(tmp_path / "text_encoder" / "model.safetensors")
    assert all(name.startswith("text_model.") for name in names)
    continued = Learner(unet, encoder, learner.uncond_embeddings)
    write_folder(tmp_path / "next", continued, make_autoencoder(), text_encoder)
    for config in (tmp_path / "next").rglob("config.json"):  # no local paths
        assert str(tmp_path) not in config.read_text(encoding="utf-8")
