"""Bars of letterboxed and pillarboxed video are no part of the background's color, and no object."""

from __future__ import annotations

import pytest
import torch
from simple_images import disk, paint

from stag4d.matting import alpha_from_border, crop_video, object_alphas

RED = (0.8, 0.2, 0.1)
GREEN = (0.3, 0.6, 0.4)
BLACK, DARK, WHITE = (0.0,) * 3, (16 / 255,) * 3, (1.0,) * 3
COVERAGE = disk(96, (50, 47), 14)
SIDES = {"top": (0, False), "bottom": (0, True), "left": (1, False), "right": (1, True)}


def with_bars(image: torch.Tensor, color: tuple[float, ...], **widths: int) -> torch.Tensor:
    """Return an image whose outermost lines have another color: the number of lines on each side."""
    image = image.clone()
    for side, width in widths.items():
        axis, is_end = SIDES[side]
        lines = image.transpose(0, axis)
        lines[len(lines) - width if is_end else 0 : len(lines) if is_end else width] = torch.tensor(color)
    return image


@pytest.mark.parametrize("color", [BLACK, DARK, WHITE])
@pytest.mark.parametrize("sides", [("top", "bottom"), ("left", "right")])
@pytest.mark.parametrize("width", [1, 2, 3, 9, 25, 30])
def test_bars_of_any_width_are_transparent(color, sides, width):
    plain = paint(COVERAGE, RED, GREEN)
    image = with_bars(plain, color, **{sides[0]: width, sides[1]: max(width - 1, 1)})
    assert torch.equal(alpha_from_border(image), alpha_from_border(plain))


def test_a_black_line_that_a_crop_left_is_transparent():
    plain = paint(COVERAGE, RED, GREEN)
    assert torch.equal(alpha_from_border(with_bars(plain, BLACK, left=2)), alpha_from_border(plain))
    assert torch.equal(alpha_from_border(with_bars(plain, BLACK, left=9)), alpha_from_border(plain))
    assert torch.equal(alpha_from_border(with_bars(plain, WHITE, bottom=1)), alpha_from_border(plain))


def test_narrow_lines_on_all_sides_are_transparent():
    plain = paint(COVERAGE, RED, GREEN)
    image = with_bars(plain, BLACK, top=2, bottom=1, left=1, right=2)
    assert torch.equal(alpha_from_border(image), alpha_from_border(plain))


def test_edge_of_a_bar_that_a_codec_has_blurred_is_transparent():
    image = with_bars(paint(COVERAGE, RED, GREEN), BLACK, top=12, bottom=12)
    image[12] *= 0.3
    image[13] *= 0.8
    image[83] *= 0.5
    alpha = alpha_from_border(image)
    assert torch.equal(alpha, alpha_from_border(paint(COVERAGE, RED, GREEN)))


def test_object_that_a_bar_cuts_ends_at_the_bar():
    coverage = disk(96, (50, 70), 20)
    coverage[80:] = 0
    alpha = alpha_from_border(with_bars(paint(coverage, RED, GREEN), BLACK, top=10, bottom=16))
    assert ((alpha > 0.5) != (coverage > 0.5)).sum() <= 8


def test_video_without_plain_background_between_bars_is_rejected():
    noise = torch.rand(96, 96, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="plain background: "):
        alpha_from_border(with_bars(noise, BLACK, top=30, bottom=30))


@pytest.mark.parametrize("background", [BLACK, WHITE, GREEN])
@pytest.mark.parametrize("box", [(20, 20, 50, 50), (0, 20, 96, 50), (20, 0, 50, 96), (30, 60, 40, 36)])
def test_boxes_on_a_plain_background_are_objects_and_not_content_between_bars(background, box):
    left, top, across, down = box
    coverage = torch.zeros(96, 96)
    coverage[top : top + down, left : left + across] = 1
    image = paint(coverage, RED, background)
    if across < 96 and down < 96:  # a die
        image[top + 8 : top + 16, left + 8 : left + 16] = torch.tensor((0.9, 0.9, 0.2))
    alpha = alpha_from_border(image)
    assert torch.equal(alpha > 0.5, coverage > 0.5)


def moving_disk(count: int, step: float = 4) -> torch.Tensor:
    """Return frames [count, 96, 96, 3] of a red disk on green that moves to the right."""
    return torch.stack([paint(disk(96, (40 + step * frame, 47), 12), RED, GREEN) for frame in range(count)])


def windowboxed(plain: torch.Tensor, color: tuple[float, ...] = BLACK) -> torch.Tensor:
    """Return frames with wide bars on all four sides."""
    return torch.stack([with_bars(image, color, top=14, bottom=12, left=16, right=10) for image in plain])


@pytest.mark.parametrize("color", [BLACK, DARK])
def test_black_bars_on_all_sides_of_a_moving_object_are_transparent(color):
    plain = moving_disk(3)
    assert torch.equal(object_alphas(windowboxed(plain, color)), object_alphas(plain))
    found, expected = (
        crop_video(frames, size=40, margin=0.1) for frames in (windowboxed(plain, color), plain)
    )
    torch.testing.assert_close(found.alphas, expected.alphas)
    torch.testing.assert_close(found.images, expected.images)


def test_bars_on_all_sides_are_found_beside_black_frames_and_frames_without_object():
    plain = moving_disk(6)
    plain[3] = torch.tensor(GREEN)
    frames = windowboxed(plain)
    frames[[0, 5]] = 0
    cropped = crop_video(frames, size=40, margin=0.1)
    assert cropped.frames == [1, 2, 4]
    expected = crop_video(plain[[1, 2, 4]], size=40, margin=0.1)
    torch.testing.assert_close(cropped.alphas, expected.alphas)


def test_blurred_and_noisy_bars_on_all_sides_are_transparent():
    generator = torch.Generator().manual_seed(0)
    plain = moving_disk(4)
    frames = windowboxed(plain).permute(0, 3, 1, 2)
    frames = torch.nn.functional.avg_pool2d(frames, 3, 1, 1, count_include_pad=False).permute(0, 2, 3, 1)
    frames = (frames + 0.01 * torch.randn(frames.shape, generator=generator)).clamp(0, 1)
    found, expected = object_alphas(frames) > 0.5, object_alphas(plain) > 0.5
    assert (found & expected).sum() / (found | expected).sum() > 0.95


@pytest.mark.parametrize("step", [0, 1, 4])
def test_box_that_stands_still_or_moves_on_black_is_an_object(step):
    coverage = torch.zeros(3, 96, 96)
    for frame in range(3):
        coverage[frame, 20:70, 20 + step * frame : 70 + step * frame] = 1
    images = paint(coverage, RED, BLACK)
    images[:, 40:48, 40:48] = torch.tensor((0.9, 0.9, 0.2))
    assert torch.equal(object_alphas(images) > 0.5, coverage > 0.5)


def test_bars_on_all_sides_of_what_is_not_plain_are_rejected():
    noise = torch.rand(3, 96, 96, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="image 0 has no plain background"):
        object_alphas(windowboxed(noise))
