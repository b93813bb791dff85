"""The encoder with set weights: it multiplies patches with a basis."""

from __future__ import annotations

import pytest
import torch

from stag4d.diffusion import load_multiview_model
from stag4d.diffusion.zero123plus import GRAY
from training.autoencoder import (
    CHANNELS,
    LATENT_RMS,
    LOG_VARIANCE,
    PATCH,
    basis_of_encoder,
    generated_views,
    latents_of,
    make_autoencoder,
    patch_basis,
    set_linear_encoder,
)
from training.multiview import Learner, make_text_encoder, make_unet, write_folder
from training.toys import RIG, generate_toys, on_background
from training.vision import WIDTH, OutlineModel, grid_of_views

SIZE = 24


@pytest.fixture(scope="module")
def basis() -> torch.Tensor:
    """Return a random basis."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(CHANNELS, 3, PATCH, PATCH, generator=generator) / 14


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-3), (torch.float16, 1e-2)])
def test_encoder_multiplies_patches_with_the_basis(basis, dtype, tolerance):
    vae = make_autoencoder()
    set_linear_encoder(vae, basis)
    pixels = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        posterior = vae.to(dtype).encode(pixels.to(dtype)).latent_dist
    patches = pixels.reshape(3, 3, SIZE // PATCH, PATCH, SIZE // PATCH, PATCH)
    expected = torch.einsum("ndhrwc,kdrc->nkhw", patches, basis)
    found = posterior.mean.float() * vae.config.scaling_factor
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)
    torch.testing.assert_close(posterior.logvar.float(), torch.full_like(expected, LOG_VARIANCE))
    assert vae.config.scaling_factor == pytest.approx(1 / LATENT_RMS)
    torch.testing.assert_close(latents_of(basis, pixels), expected, rtol=1e-4, atol=1e-4)


def test_basis_is_recovered_from_the_encoder(basis):
    vae = make_autoencoder()
    set_linear_encoder(vae, basis)
    torch.testing.assert_close(basis_of_encoder(vae), basis, rtol=0, atol=1e-3)


def test_basis_is_the_best_linear_one_of_its_size():
    generator = torch.Generator().manual_seed(2)
    smooth = torch.nn.functional.interpolate(torch.randn(40, 3, 9, 9, generator=generator), size=(SIZE, SIZE))
    found = patch_basis(smooth).flatten(1)  # [C, 192]
    rows = (
        smooth.unfold(2, PATCH, PATCH)
        .unfold(3, PATCH, PATCH)
        .permute(0, 2, 3, 1, 4, 5)
        .flatten(3)
        .flatten(0, 2)
    )
    assert (rows @ found.T).square().mean() == pytest.approx(1)
    kept = rows @ torch.linalg.pinv(found) @ found
    *_, vectors = torch.linalg.svd(rows)
    best = rows @ vectors[:CHANNELS].T @ vectors[:CHANNELS]
    assert (rows - kept).square().mean() == pytest.approx((rows - best).square().mean().item(), rel=1e-3)


def test_generated_grids_are_split_into_the_latents_of_their_tiles(basis, monkeypatch, tmp_path):
    toys = generate_toys("val", 0, 2)
    images = on_background(toys.images[:, 1 : len(RIG)], GRAY / 255)  # [2, 6, 3, S, S]
    grids = grid_of_views(latents_of(basis, images))
    learner = Learner(make_unet(), OutlineModel().encoder, torch.zeros(1, 8, WIDTH))
    write_folder(tmp_path, learner, make_autoencoder(), make_text_encoder())
    monkeypatch.setattr("training.autoencoder.sample_latents", lambda *given: grids)
    latents, truth = generated_views(load_multiview_model(tmp_path), toys.first(2))
    truth = on_background(truth, GRAY / 255)
    torch.testing.assert_close(truth, images.flatten(0, 1))
    torch.testing.assert_close(latents, LATENT_RMS * latents_of(basis, truth))
