"""What the multi-view model learns from: noisy views whose velocity leads back to them."""

from __future__ import annotations

import pytest
import torch

from stag4d.diffusion.denoiser import clean_estimate
from training.multiview import Learner, make_scheduler, make_unet, noised, predict_velocity, start_from
from training.vision import WIDTH, Outliner


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


def test_a_run_goes_on_where_a_smaller_one_was(tmp_path):
    """A run without the attentions at full resolution gives all it has; what it lacks changes nothing yet."""
    torch.manual_seed(0)
    small, large = (Learner(make_unet(), Outliner().encoder, torch.zeros(1, 8, WIDTH)) for _ in range(2))
    for blocks in (small.unet.down_blocks[:1], small.unet.up_blocks[-1:]):
        for block in blocks:
            for attention in block.attentions:
                torch.nn.init.zeros_(attention.proj_out.weight)
                torch.nn.init.zeros_(attention.proj_out.bias)
    kept = {
        name: value
        for name, value in small.state_dict().items()
        if not name.startswith(("unet.down_blocks.0.attentions", "unet.up_blocks.2.attentions"))
    }
    torch.save({"averaged": kept}, tmp_path / "state.pt")
    start_from(large, tmp_path)
    given = (
        torch.randn(1, 24, 8, 8), torch.randn(1, 24, 24, 16), torch.tensor([9]), torch.randn(1, 8, WIDTH)
    )  # fmt: skip
    with torch.no_grad():
        torch.testing.assert_close(predict_velocity(large.unet, *given), predict_velocity(small.unet, *given))
    assert torch.equal(large.mattes.reader.weight, small.mattes.reader.weight)
