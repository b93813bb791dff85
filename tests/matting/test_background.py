"""Mattes from a plain background, against mattes that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stag4d.matting import alpha_from_border
from stag4d.matting.background import label_components

WHITE = (1.0, 1.0, 1.0)
RED = (0.8, 0.2, 0.1)


def disk(size: int, center: tuple[float, float], radius: float) -> torch.Tensor:
    """Return the share of each pixel that a disk covers, [size, size], from 8 x 8 samples a pixel."""
    places = (torch.arange(8 * size) + 0.5) / 8
    inside = (places[None] - center[0]) ** 2 + (places[:, None] - center[1]) ** 2 <= radius**2
    return inside.float().reshape(size, 8, size, 8).mean(dim=(1, 3))


def paint(
    coverage: torch.Tensor, color: tuple[float, ...], background: tuple[float, ...] = WHITE
) -> torch.Tensor:
    """Return an image [H, W, 3] of something of one color before another."""
    share = coverage[..., None]
    return share * torch.tensor(color) + (1 - share) * torch.tensor(background)


@pytest.mark.parametrize("background", [WHITE, (0.5, 0.5, 0.5), (0.0, 0.0, 0.0), (0.1, 0.9, 0.2)])
def test_a_soft_edged_disk_gets_its_own_coverage_as_matte(background):
    coverage = disk(48, (23.3, 25.1), 13.4)
    alpha = alpha_from_border(paint(coverage, RED, background))
    assert alpha.dtype == torch.float32
    assert (alpha - coverage).abs().max() < 0.08  # pixels hardly covered count as background
    assert alpha[coverage == 0].max() == 0
    assert alpha[disk(48, (23.3, 25.1), 11.0) > 0].min() == 1


def test_noise_of_a_video_codec_does_not_reach_the_matte():
    generator = torch.Generator().manual_seed(1)
    coverage = disk(48, (24, 24), 12)
    noise = 0.015 * torch.randn(48, 48, 3, generator=generator)
    alpha = alpha_from_border((paint(coverage, RED) + noise).clamp(0, 1))
    assert ((alpha > 0.5) != (coverage > 0.5)).sum() <= 4
    assert alpha[0].max() == 0


def test_what_is_enclosed_stays_opaque_whatever_its_color():
    coverage = disk(40, (20, 20), 14)
    hole = disk(40, (22, 18), 4)
    image = paint(hole, WHITE, (0, 0, 0)) * hole[..., None] + paint(coverage, RED) * (1 - hole[..., None])
    alpha = alpha_from_border(image)
    assert alpha[disk(40, (20, 20), 11) > 0].min() == 1


def test_a_bay_that_opens_to_the_border_is_background():
    image = torch.ones(20, 20, 3)
    image[5:15, 5:15] = torch.tensor(RED)
    image[5:12, 9:11] = 1.0  # cut from the top
    alpha = alpha_from_border(image)
    assert alpha[5:12, 9:11].max() == 0
    assert alpha.sum() == 100 - 14


def test_parts_are_kept_and_dust_is_dropped():
    image = torch.ones(40, 40, 3)
    image[5:25, 5:25] = torch.tensor(RED)  # 400 pixels
    image[30:33, 30:33] = torch.tensor(RED)  # 9
    image[36, 4:7] = torch.tensor(RED)  # 3, less than a hundredth
    alpha = alpha_from_border(image)
    assert alpha.sum() == 409
    assert alpha[36].max() == 0


def test_a_thin_part_is_kept_and_dropped_where_it_is_faint():
    image = torch.ones(40, 40, 3)
    image[5:25, 5:25] = torch.tensor(RED)
    image[30, 5:25] = torch.tensor(RED)
    image[34:36, 5:25] = 1 - 0.05  # over the tolerance of 8 / 255, under twice that
    alpha = alpha_from_border(image)
    assert alpha[30, 5:25].min() == 1
    assert alpha.sum() == 420
    image[5:25, 5:25] = 1 - 0.05  # what is faint and thick is an object
    assert alpha_from_border(image)[6:24, 6:24].min() == 1


def test_an_object_may_leave_the_picture():
    image = torch.ones(20, 20, 3)
    image[10:, 5:15] = torch.tensor(RED)
    alpha = alpha_from_border(image)
    assert alpha[10:, 5:15].min() == 1
    assert alpha.sum() == 100


def test_nothing_but_background_has_an_empty_matte():
    assert not alpha_from_border(torch.full((8, 9, 3), 0.4)).any()


@pytest.mark.parametrize("image", ["noise", "halves"])
def test_a_border_that_is_not_plain_is_refused(image):
    pictures = {
        "noise": torch.rand(16, 16, 3, generator=torch.Generator().manual_seed(0)),
        "halves": torch.cat([torch.zeros(8, 16, 3), torch.ones(8, 16, 3)]),
    }
    with pytest.raises(ValueError, match=r"matte: the border is not plain, .* expected at least 70%"):
        alpha_from_border(pictures[image])


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 4), (2, 8, 3), (1, 8, 8, 3)])
def test_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="matte: image of shape"):
        alpha_from_border(torch.zeros(shape))


@settings(max_examples=60, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_components_are_those_that_a_flood_fill_finds(mask):
    expected = np.zeros(mask.shape, dtype=int)
    count = 0
    for start in zip(*np.nonzero(mask), strict=True):
        if expected[start]:
            continue
        count += 1
        waiting = [start]
        while waiting:
            y, x = waiting.pop()
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x] and not expected[y, x]:
                expected[y, x] = count
                waiting += [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
    np.testing.assert_array_equal(label_components(mask), expected)
