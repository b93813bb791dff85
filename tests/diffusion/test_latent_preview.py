"""The preview is a ridge regression from latents to colors, compared with a plain least-squares solution."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import avg_pool2d

from stag4d.diffusion import LatentPreview, load_multiview_model

RIDGE = 1e-3


@pytest.fixture(scope="module")
def fitted(model):
    """A fitted preview, and the color charts [1, 3, H, W] that the VAE encoded for it."""
    charts = []
    handle = model.vae.encoder.register_forward_pre_hook(lambda module, inputs: charts.append(inputs[0]))
    preview = LatentPreview(model)
    num_before = len(charts)
    for _ in range(2):
        preview(torch.zeros(4, 2, 2))
    handle.remove()
    return SimpleNamespace(preview=preview, charts=charts, num_before=num_before)


@torch.no_grad()
def naive_weights(model, chart):
    """Least squares over rows (latent, 1) -> color, and rows that pull every weight to zero."""
    latents = model.vae.encode(chart).latent_dist.mean[0]  # [C, h, w]
    colors = avg_pool2d(chart, 2)[0]  # [3, h, w]
    rows = [
        [*latents[:, y, x].tolist(), 1.0] for y in range(latents.shape[1]) for x in range(latents.shape[2])
    ]
    inputs = torch.tensor(rows, dtype=torch.float64)
    targets = colors.permute(1, 2, 0).reshape(-1, 3).double()
    ridge = (RIDGE * len(inputs)) ** 0.5 * torch.eye(inputs.shape[1], dtype=torch.float64)
    augmented = (
        torch.cat([inputs, ridge]),
        torch.cat([targets, torch.zeros(len(ridge), 3, dtype=torch.float64)]),
    )
    return torch.linalg.lstsq(*augmented).solution.float()  # [C + 1, 3]


def test_preview_equals_the_least_squares_solution(model, fitted):
    weights = naive_weights(model, fitted.charts[0])
    latents = 0.1 * torch.randn(4, 5, 7, generator=torch.Generator().manual_seed(1))
    unscaled = (latents / 0.75 + 0.22) / 0.18215
    pixels = torch.einsum("chw,cd->hwd", unscaled, weights[:-1]) + weights[-1]
    expected = (pixels / 0.5 * 0.8 / 2 + 0.5).clamp(0, 1)
    assert 0.5 < ((expected > 0) & (expected < 1)).float().mean() < 1
    torch.testing.assert_close(fitted.preview(latents), expected, atol=1e-4, rtol=1e-4)


def test_colors_are_fitted_once_and_not_before_the_first_preview(fitted):
    assert (fitted.num_before, len(fitted.charts)) == (0, 1)


def test_color_chart_covers_the_range_of_image_values(fitted):
    (chart,) = fitted.charts
    assert chart.amin() >= -1
    assert chart.amax() <= 1
    assert (chart.amin(dim=(0, 2, 3)) < -0.7).all()
    assert (chart.amax(dim=(0, 2, 3)) > 0.7).all()


def test_preview_has_one_pixel_per_latent_and_colors_from_zero_to_one(fitted):
    image = fitted.preview(torch.randn(4, 24, 16, generator=torch.Generator().manual_seed(2)))
    assert image.shape == (24, 16, 3)
    assert image.dtype == torch.float32
    assert (image.amin().item(), image.amax().item()) == (0.0, 1.0)


def test_preview_is_deterministic_and_leaves_the_global_random_state_alone(model, fitted):
    latents = 0.1 * torch.randn(4, 2, 2, generator=torch.Generator().manual_seed(3))
    state = torch.get_rng_state()
    assert torch.equal(LatentPreview(model)(latents), fitted.preview(latents))
    assert torch.equal(torch.get_rng_state(), state)


def test_half_precision_gives_nearly_the_same_colors(published, fitted):
    latents = 0.1 * torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(4))
    half = LatentPreview(load_multiview_model(published, dtype=torch.float16))
    torch.testing.assert_close(half(latents.half()), fitted.preview(latents), atol=3e-2, rtol=0)
