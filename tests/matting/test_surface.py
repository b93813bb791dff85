"""Plain backgrounds in uneven light: the background is a smooth surface, and the object is what leaves it."""

from __future__ import annotations

import pytest
import torch
from simple_images import disk, paint

from stag4d.matting import alpha_from_border

RED = (0.8, 0.2, 0.1)
BEIGE = torch.tensor((0.9, 0.88, 0.82))
SIZE = 96
Y, X = torch.meshgrid(torch.linspace(-1, 1, SIZE), torch.linspace(-1, 1, SIZE), indexing="ij")
RADIUS_SQ = X**2 + Y**2  # 2 in the corners
LIGHTS = {
    "weak vignette": 1 - 0.08 * RADIUS_SQ,
    "strong vignette": 1 - 0.25 * RADIUS_SQ,
    "vignette of a lens": 1 / (1 + 0.4 * RADIUS_SQ) ** 2,  # cos^4 of the angle
    "vignette off the center": 1 - 0.15 * ((X - 0.3) ** 2 + (Y + 0.4) ** 2),
    "lamp from the left": 0.8 - 0.2 * X,
    "lamp from above": 0.7 - 0.25 * Y,
    "lamp from a corner": 0.7 - 0.12 * X - 0.13 * Y + 0.05 * X * Y,
}


def lit(light: torch.Tensor, coverage: torch.Tensor, noise: float = 0.0) -> torch.Tensor:
    """Return an 8-bit image of a red object in front of a wall in a light [H, W]."""
    image = paint(coverage, RED, (0, 0, 0)) + (1 - coverage[..., None]) * light[..., None] * BEIGE
    image = image + noise * torch.randn(image.shape, generator=torch.Generator().manual_seed(2))
    return (image.clamp(0, 1) * 255).round() / 255


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize("name", list(LIGHTS))
def test_background_in_uneven_light_is_transparent(name, noise):
    coverage = disk(SIZE, (52, 45), 20)
    alpha = alpha_from_border(lit(LIGHTS[name], coverage, noise))
    assert ((alpha > 0.5) != (coverage > 0.5)).sum() <= 12  # of 1257
    if noise == 0:
        assert (alpha - coverage).abs().max() < 0.2


@pytest.mark.parametrize("name", ["strong vignette", "lamp from the left"])
def test_hole_shows_the_background_of_its_place(name):
    ring = disk(SIZE, (50, 46), 32) - disk(SIZE, (50, 46), 18)
    alpha = alpha_from_border(lit(LIGHTS[name], ring, 0.006))
    assert ((alpha > 0.5) != (ring > 0.5)).sum() <= 30  # of 2199


def test_object_on_the_border_does_not_bend_the_surface():
    coverage = disk(SIZE, (50, 90), 26)
    alpha = alpha_from_border(lit(LIGHTS["strong vignette"], coverage))
    assert ((alpha > 0.5) != (coverage > 0.5)).sum() <= 12


def test_background_of_one_color_is_not_fitted():
    """Alphas on an even background are those of its median color, to the bit."""
    coverage = disk(SIZE, (52, 45), 20)
    noisy = lit(torch.ones(SIZE, SIZE), coverage, 0.008)
    alpha = alpha_from_border(noisy)
    border = torch.cat([noisy[0], noisy[-1], noisy[1:-1, 0], noisy[1:-1, -1]])
    background = border.quantile(0.5, dim=0)
    row, column = ((alpha > 0.2) & (alpha < 0.8)).nonzero()[0].tolist()
    near = noisy[row - 2 : row + 3, column - 2 : column + 3]
    is_core = torch.nn.functional.avg_pool2d((alpha > 0)[None].float(), 3, 1, 1)[0] > 0.99
    color = near[is_core[row - 2 : row + 3, column - 2 : column + 3]].mean(dim=0)
    direction = color - background
    expected = ((noisy[row, column] - background) @ direction) / (direction @ direction)
    assert alpha[row, column].item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_backgrounds_with_a_pattern_on_them_are_rejected(seed):
    coarse = torch.rand(1, 3, 7, 7, generator=torch.Generator().manual_seed(seed))
    texture = torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")[0].permute(1, 2, 0)
    with pytest.raises(ValueError, match="plain background: "):
        alpha_from_border(texture)
