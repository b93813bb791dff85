"""Soft shadows on a plain background are background; gray objects with smooth shading are objects."""

from __future__ import annotations

import pytest
import torch
from simple_images import disk, paint

from stag4d.matting import alpha_from_border

SIZE = 128
Y, X = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
BALL = disk(SIZE, (64, 60), 25)
RED, GRAY = (0.8, 0.2, 0.1), (0.4, 0.4, 0.4)


def shadow(depth: float, width: float) -> torch.Tensor:
    """Return the light on the floor under the ball, [H, W]: 1, less ``depth`` in the middle of its shadow."""
    return 1 - depth * torch.exp(-(((X - 64) / (2.5 * width)) ** 2 + ((Y - 88) / width) ** 2) / 2)


def ball_on(floor: torch.Tensor, color: tuple[float, ...], noise: float = 0.0) -> torch.Tensor:
    """Return an 8-bit image of a shaded ball in front of a floor [H, W, 3]."""
    shading = (0.65 - 0.35 * (Y - 60) / 25 + 0.1 * (64 - X) / 25)[..., None]
    image = floor * (1 - BALL[..., None]) + paint(BALL, color, (0, 0, 0)) * shading
    image = image + noise * torch.randn(image.shape, generator=torch.Generator().manual_seed(5))
    return (image.clamp(0, 1) * 255).round() / 255


@pytest.mark.parametrize("noise", [0.0, 0.008])
@pytest.mark.parametrize("color", [RED, GRAY])
@pytest.mark.parametrize(("depth", "width"), [(0.2, 7), (0.3, 8), (0.45, 10)])
@pytest.mark.parametrize("wall", [(0.85, 0.85, 0.85), (1.0, 1.0, 1.0), (0.4, 0.6, 0.75)])
def test_soft_shadow_is_transparent(wall, depth, width, color, noise):
    floor = shadow(depth, width)[..., None] * torch.tensor(wall)
    alpha = alpha_from_border(ball_on(floor, color, noise))
    assert ((alpha > 0.5) != (BALL > 0.5)).sum() <= 40  # of 1963


def test_bright_spot_on_the_wall_is_transparent():
    light = 0.5 + 0.35 * torch.exp(-((X - 60) ** 2 + (Y - 62) ** 2) / 1200)
    alpha = alpha_from_border(ball_on(light[..., None].expand(-1, -1, 3), RED))
    assert ((alpha > 0.5) != (BALL > 0.5)).sum() <= 20


def test_shadow_of_a_ball_in_the_air_is_transparent():
    floor = (1 - 0.3 * torch.exp(-(((X - 64) / 14) ** 2 + ((Y - 110) / 6) ** 2) / 2))[..., None] * 0.9
    alpha = alpha_from_border(ball_on(floor.expand(-1, -1, 3), RED))
    assert alpha[95:].max() == 0
    assert ((alpha > 0.5) != (BALL > 0.5)).sum() <= 20


@pytest.mark.parametrize("noise", [0.0, 0.006])
@pytest.mark.parametrize("brightness", [(0.2, 0.8), (0.3, 0.6), (0.05, 0.5)])
def test_gray_ball_with_smooth_shading_stays_opaque(brightness, noise):
    darkest, brightest = brightness
    normal = (1 - ((X - 64) ** 2 + (Y - 60) ** 2) / 25**2).clamp(0, 1).sqrt()[..., None]
    color = darkest + (brightest - darkest) * normal
    image = 0.9 * (1 - BALL[..., None]) + BALL[..., None] * color
    image = image.expand(-1, -1, 3) + noise * torch.randn(
        SIZE, SIZE, 3, generator=torch.Generator().manual_seed(5)
    )
    alpha = alpha_from_border(image.clamp(0, 1))
    assert ((alpha > 0.5) != (BALL > 0.5)).sum() <= 30


def test_object_that_is_all_smooth_and_of_the_background_hue_stays():
    fog = 0.9 - 0.4 * torch.exp(-((X - 64) ** 2 + (Y - 60) ** 2) / 500)
    alpha = alpha_from_border(fog[..., None].expand(-1, -1, 3))
    assert alpha[50:70, 54:74].min() == 1
