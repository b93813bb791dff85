"""Holes of an object on a plain background are transparent; eyes and shirts of its color are not."""

from __future__ import annotations

import pytest
import torch
from simple_images import WHITE, disk, paint

from stag4d.matting import alpha_from_border, remove_background

RED = (0.8, 0.2, 0.1)
GRAY = (0.55, 0.6, 0.58)
BACKGROUNDS = pytest.mark.parametrize("background", [WHITE, GRAY, (0.0, 0.0, 0.0)])
NOISE = pytest.mark.parametrize("noise", [0.0, 0.012])


def box(size: int, left: int, top: int, across: int, down: int) -> torch.Tensor:
    """Return a mask [size, size] of a box."""
    mask = torch.zeros(size, size)
    mask[top : top + down, left : left + across] = 1
    return mask


def ring() -> torch.Tensor:
    """Return the coverage of a ring whose hole is a third of its disk."""
    return disk(96, (48.3, 45.1), 32.2) - disk(96, (48.3, 45.1), 18.6)


def mug() -> torch.Tensor:
    """Return the coverage of a box with a thin handle around a small hole."""
    handle = disk(96, (62, 48), 14) - disk(96, (62, 48), 9)
    return torch.maximum(box(96, 18, 28, 42, 44), handle)


def lattice() -> torch.Tensor:
    """Return the coverage of a plate with 25 small holes."""
    mask = box(96, 12, 12, 72, 72)
    for row in range(5):
        for column in range(5):
            mask -= box(96, 17 + 14 * column, 17 + 14 * row, 7, 7)
    return mask


def iou(alpha: torch.Tensor, truth: torch.Tensor) -> float:
    """Return the intersection over union of the masks of two alphas."""
    first, second = alpha > 0.5, truth > 0.5
    return ((first & second).sum() / (first | second).sum()).item()


def photographed(image: torch.Tensor, noise: float) -> torch.Tensor:
    """Return an 8-bit image with camera noise."""
    generator = torch.Generator().manual_seed(3)
    noisy = image + noise * torch.randn(image.shape, generator=generator)
    return (noisy.clamp(0, 1) * 255).round() / 255


@BACKGROUNDS
@NOISE
@pytest.mark.parametrize("shape", [ring, mug, lattice])
def test_background_seen_through_an_object_is_transparent(shape, background, noise):
    truth = shape()
    image = photographed(paint(truth, RED, background), noise)
    assert iou(alpha_from_border(image), truth) > 0.97
    assert iou(remove_background(image)[1], truth) > 0.97


def test_edge_of_a_hole_is_as_soft_as_the_outer_edge():
    truth = ring()
    assert (alpha_from_border(paint(truth, RED, GRAY)) - truth).abs().max() < 0.08


@BACKGROUNDS
@NOISE
@pytest.mark.parametrize("pupil", [0, 3.5])
def test_eyes_of_the_background_color_stay_opaque(background, noise, pupil):
    face = disk(96, (48, 48), 36)
    image = paint(face, RED, background)
    for center in (36, 60):
        eye = disk(96, (center, 42), 7)[..., None]
        image = image * (1 - eye) + eye * torch.tensor(background)
        if pupil:
            dark = disk(96, (center, 42), pupil)[..., None]
            image = image * (1 - dark) + dark * torch.tensor((0.1, 0.3, 0.9))
    assert iou(alpha_from_border(photographed(image, noise)), face) > 0.98


def person() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the coverage of a person and of the shirt between thin arms."""
    body = torch.maximum(
        disk(96, (48, 18), 9), torch.maximum(box(96, 30, 28, 36, 34), box(96, 36, 60, 24, 30))
    )
    return body, box(96, 34, 32, 28, 27)


SHADES = {
    "folds": lambda x, y: -0.015 - 0.02 * torch.sin(x / 3),
    "from the side": lambda x, y: -0.02 * (x - 34) / 28,
    "from above": lambda x, y: -0.02 * (y - 32) / 27,
    "slightly darker": lambda x, y: -0.014 + 0 * x,
}


@pytest.mark.parametrize("background", [WHITE, GRAY])
@pytest.mark.parametrize("shade", list(SHADES))
def test_shirt_of_nearly_the_background_color_stays_opaque(background, shade):
    body, shirt = person()
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    shaded = torch.tensor(background) + SHADES[shade](x, y)[..., None]
    image = paint(body, RED, background)
    image = torch.where(shirt[..., None] > 0, shaded, image)
    assert iou(alpha_from_border(photographed(image, 0.0)), body) > 0.98


def test_shirt_without_the_background_noise_stays_opaque():
    body, shirt = person()
    image = photographed(paint(body, RED, GRAY), 0.012)
    image[shirt > 0] = torch.tensor(GRAY)
    assert iou(alpha_from_border(image), body) > 0.98


def test_highlight_of_the_background_color_stays_opaque():
    ball = disk(96, (48, 48), 34)
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    shine = (1.4 * torch.exp(-((x - 30) ** 2 + (y - 32) ** 2) / 80)).clamp(max=1)
    color = torch.tensor(RED) + shine[..., None] * (1 - torch.tensor(RED))
    image = paint(ball, (0, 0, 0)) + ball[..., None] * color
    assert iou(alpha_from_border(image), ball) > 0.98
