"""Alpha from a plain background, against known alpha."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from simple_images import WHITE, disk, paint

from stag4d.matting import alpha_from_border
from stag4d.matting.components import label_components

RED = (0.8, 0.2, 0.1)


@pytest.mark.parametrize("background", [WHITE, (0.5, 0.5, 0.5), (0.0, 0.0, 0.0), (0.1, 0.9, 0.2)])
def test_alpha_of_a_disk_is_its_pixel_coverage(background):
    coverage = disk(48, (23.3, 25.1), 13.4)
    alpha = alpha_from_border(paint(coverage, RED, background))
    assert alpha.dtype == torch.float32
    assert (alpha - coverage).abs().max() < 0.08  # barely covered pixels count as background
    assert alpha[coverage == 0].max() == 0
    assert alpha[disk(48, (23.3, 25.1), 11.0) > 0].min() == 1


def test_codec_noise_does_not_change_the_mask():
    generator = torch.Generator().manual_seed(1)
    coverage = disk(48, (24, 24), 12)
    noise = 0.015 * torch.randn(48, 48, 3, generator=generator)
    alpha = alpha_from_border((paint(coverage, RED) + noise).clamp(0, 1))
    assert ((alpha > 0.5) != (coverage > 0.5)).sum() <= 4
    assert alpha[0].max() == 0


def test_enclosed_background_color_stays_opaque():
    coverage = disk(40, (20, 20), 14)
    hole = disk(40, (22, 18), 4)
    image = paint(hole, WHITE, (0, 0, 0)) * hole[..., None] + paint(coverage, RED) * (1 - hole[..., None])
    alpha = alpha_from_border(image)
    assert alpha[disk(40, (20, 20), 11) > 0].min() == 1


def test_background_connected_to_the_border_through_a_bay_is_transparent():
    image = torch.ones(20, 20, 3)
    image[5:15, 5:15] = torch.tensor(RED)
    image[5:12, 9:11] = 1.0  # cut from the top
    alpha = alpha_from_border(image)
    assert alpha[5:12, 9:11].max() == 0
    assert alpha.sum() == 100 - 14


def test_small_components_are_kept_and_specks_are_dropped():
    image = torch.ones(40, 40, 3)
    image[5:25, 5:25] = torch.tensor(RED)  # 400 pixels
    image[30:33, 30:33] = torch.tensor(RED)  # 9
    image[36, 4:7] = torch.tensor(RED)  # 3, less than a hundredth
    alpha = alpha_from_border(image)
    assert alpha.sum() == 409
    assert alpha[36].max() == 0


def test_thin_parts_are_dropped_only_if_they_hardly_differ_from_the_background():
    image = torch.ones(40, 40, 3)
    image[5:25, 5:25] = torch.tensor(RED)
    image[30, 5:25] = torch.tensor(RED)
    image[34:36, 5:25] = 1 - 0.05  # above the tolerance of 8 / 255, below twice that
    alpha = alpha_from_border(image)
    assert alpha[30, 5:25].min() == 1
    assert alpha.sum() == 420
    image[5:25, 5:25] = 1 - 0.05  # not thin: kept
    assert alpha_from_border(image)[6:24, 6:24].min() == 1


def test_object_may_reach_the_image_border():
    image = torch.ones(20, 20, 3)
    image[10:, 5:15] = torch.tensor(RED)
    alpha = alpha_from_border(image)
    assert alpha[10:, 5:15].min() == 1
    assert alpha.sum() == 100


def test_alpha_of_background_alone_is_zero():
    assert not alpha_from_border(torch.full((8, 9, 3), 0.4)).any()


@pytest.mark.parametrize("image", ["noise", "two colors"])
def test_border_of_several_colors_is_rejected(image):
    images = {
        "noise": torch.rand(16, 16, 3, generator=torch.Generator().manual_seed(0)),
        "two colors": torch.cat([torch.zeros(8, 16, 3), torch.ones(8, 16, 3)]),
    }
    with pytest.raises(
        ValueError, match=r"plain background: \d+% of the border has one color; expected at least 70%"
    ):
        alpha_from_border(images[image])


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 4), (2, 8, 3), (1, 8, 8, 3)])
def test_other_shapes_are_rejected(shape):
    with pytest.raises(ValueError, match="plain background: image of shape"):
        alpha_from_border(torch.zeros(shape))


@settings(max_examples=60, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_components_equal_those_of_a_flood_fill(mask):
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
