"""What the multi-view model learns from: noisy views whose velocity leads back to them."""

from __future__ import annotations

import pytest
import torch

from stag4d.diffusion.denoiser import clean_estimate
from training.multiview import make_scheduler, noised


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
