"""The bundled encoder is linear: patches times a basis, through a network that could do more."""

from __future__ import annotations

import pytest
import torch

from training.autoencoder import (
    CHANNELS,
    LOG_VARIANCE,
    PATCH,
    latents_of,
    make_autoencoder,
    patch_basis,
    set_linear_encoder,
)

SIZE = 24


@pytest.fixture(scope="module")
def basis() -> torch.Tensor:
    """Any basis."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(CHANNELS, 3, PATCH, PATCH, generator=generator) / 14


def pictures(count: int) -> torch.Tensor:
    """Return noise, [N, 1, S, S, 4] uint8, opaque."""
    drawn = torch.randint(256, (count, 1, SIZE, SIZE, 4), generator=torch.Generator().manual_seed(1))
    drawn[..., 3] = 255
    return drawn.to(torch.uint8)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-3), (torch.float16, 1e-2)])
def test_the_network_multiplies_patches_with_the_basis(basis, dtype, tolerance):
    vae = make_autoencoder()
    set_linear_encoder(vae, basis)
    given = pictures(3)
    pixels = given[:, 0, ..., :3].movedim(-1, 1).float() / 255 * 2 - 1  # [N, 3, S, S]
    with torch.no_grad():
        posterior = vae.to(dtype).encode(pixels.to(dtype)).latent_dist
    patches = pixels.reshape(3, 3, SIZE // PATCH, PATCH, SIZE // PATCH, PATCH)
    expected = torch.einsum("ndhrwc,kdrc->nkhw", patches, basis)
    torch.testing.assert_close(posterior.mean.float(), expected, rtol=0, atol=tolerance)
    torch.testing.assert_close(posterior.logvar.float(), torch.full_like(expected, LOG_VARIANCE))
    quick = latents_of(basis, given, torch.zeros(3, 1))[:, 0].float()
    torch.testing.assert_close(quick, expected, rtol=1e-3, atol=1e-3)


def test_the_basis_keeps_more_of_pictures_than_any_other_of_its_size():
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
