"""What the multi-view model learns from: noisy views whose velocity leads back, and the places of tokens."""

from __future__ import annotations

import pytest
import torch

from stag4d.diffusion.denoiser import clean_estimate
from training.multiview import WIDTH, Places, make_scheduler, make_unet, noised, places_of, predict_velocity


@pytest.mark.parametrize("is_start", [False, True])
def test_the_sampler_makes_the_views_of_their_velocity(is_start):
    scheduler = make_scheduler()
    alpha = scheduler.alphas_cumprod[-1]
    sigma = ((1 - alpha) / alpha).sqrt().item()
    generator = torch.Generator().manual_seed(0)
    latents, noise = (torch.randn(2, 3, 4, 5, generator=generator) for _ in range(2))
    noisy, velocity = noised(latents, noise, alpha.reshape(1, 1, 1, 1), torch.full((2, 1, 1, 1), is_start))
    unscaled = noisy * (sigma**2 + 1) ** 0.5
    torch.testing.assert_close(unscaled, sigma * noise + (0 if is_start else 1) * latents)
    found = clean_estimate(unscaled, velocity, sigma, "v_prediction")
    torch.testing.assert_close(found, latents, rtol=1e-4, atol=1e-4)


def test_every_token_is_asked_where_it_is():
    torch.manual_seed(0)
    unet = make_unet()
    places = Places(unet)
    given = (
        torch.randn(2, 24, 8, 8), torch.randn(2, 24, 24, 16), torch.tensor([7, 9]), torch.randn(2, 8, WIDTH)
    )  # fmt: skip
    with torch.no_grad(), places.watching() as errors:
        predict_velocity(unet, *given)
    assert len(errors) == 2 * len(places.readers) > 6  # of the reference, and of the views
    with torch.no_grad():
        predict_velocity(unet, *given)
    assert len(errors) == 2 * len(places.readers)  # nobody watches any longer


def test_a_place_is_the_tile_and_the_place_in_it():
    places = places_of(6 * 2 * 2, torch.device("cpu")).reshape(6, 4, 7)  # tiles of 2 x 2 in rows of two
    assert places[0, 0].tolist() == [1, 0, 0, 1, 0, -0.5, -0.5]
    assert places[0, 1].tolist() == [1, 0, 0, 1, 0, -0.5, 0.5]
    assert places[0, 2].tolist() == [1, 0, 0, 0, 1, -0.5, -0.5]
    assert places[5, 3].tolist() == [0, 0, 1, 0, 1, 0.5, 0.5]
    reference = places_of(9, torch.device("cpu"))
    torch.testing.assert_close(reference[1], torch.tensor([0, 0, 0, 0, 0, -2 / 3, 0]))
