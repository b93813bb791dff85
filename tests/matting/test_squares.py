"""A square that follows the object: its size, its path, and the offsets that put the motion back."""

from __future__ import annotations

import pytest
import torch
from simple_images import box_frames, paint

from stag4d.matting import crop_video


def crossing_disk(num_frames: int, radius: float = 12.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return images and alphas of a disk that crosses 100 x 300 pixels in an arc, and its centers [F, 2]."""
    share = torch.linspace(0, 1, num_frames)
    centers = torch.stack([20 + 260 * share, 60 - 80 * share * (1 - share)], dim=1)  # x, y
    rows, columns = torch.meshgrid(torch.arange(100) + 0.5, torch.arange(300) + 0.5, indexing="ij")
    distances = ((columns - centers[:, 0, None, None]) ** 2 + (rows - centers[:, 1, None, None]) ** 2).sqrt()
    alphas = (radius + 0.5 - distances).clamp(0, 1)  # [F, 100, 300]
    return paint(alphas, (0.8, 0.2, 0.1)), alphas, centers


def centroids(alphas: torch.Tensor) -> torch.Tensor:
    """Return the centroids [F, 2] of alphas [F, H, W], x and y in pixels."""
    rows, columns = (torch.arange(size) + 0.5 for size in alphas.shape[1:])
    weights = alphas.sum(dim=(1, 2))
    x, y = (alphas * columns).sum(dim=(1, 2)) / weights, (alphas * rows[:, None]).sum(dim=(1, 2)) / weights
    return torch.stack([x, y], dim=1)


def free_borders(alphas: torch.Tensor) -> torch.Tensor:
    """Return the free pixels [F, 4] left, top, right and below of objects in alphas [F, S, S]."""
    borders = []
    for mask in alphas > 0.5:
        columns, rows = mask.any(dim=0).nonzero()[:, 0], mask.any(dim=1).nonzero()[:, 0]
        last = len(mask) - 1
        borders.append([columns[0], rows[0], last - columns[-1], last - rows[-1]])
    return torch.tensor(borders)


def test_object_that_crosses_the_image_fills_the_square():
    images, alphas, _ = crossing_disk(8)
    cropped = crop_video(images, alphas, size=80, margin=0.1, follow=True)
    assert cropped.warnings == ()
    areas = cropped.alphas.sum(dim=(1, 2))
    torch.testing.assert_close(
        areas, torch.full((8,), torch.pi * 32**2), rtol=0.06, atol=0
    )  # 80 % of 80 wide
    assert ((free_borders(cropped.alphas) - 8).abs() <= 1).all()
    small = crop_video(images, alphas, size=80, margin=0.1)
    assert small.crop_offsets is None
    assert small.alphas[0].sum() < 0.05 * areas[0]


def test_offsets_and_crop_together_are_the_motion_of_the_video():
    images, alphas, centers = crossing_disk(9)
    cropped = crop_video(images, alphas, size=64, margin=0.2, follow=True)
    side = 24 / 0.6  # of the mask: pixels of the disk whose alpha is above 0.5
    moved = cropped.crop_offsets * side + centroids(cropped.alphas) * side / 64  # [F, 2] pixels of the video
    torch.testing.assert_close(moved - moved[0], centers - centers[0], rtol=0, atol=0.6)
    middle = (cropped.crop_offsets.amin(dim=0) + cropped.crop_offsets.amax(dim=0)) / 2
    torch.testing.assert_close(middle, torch.zeros(2), rtol=0, atol=1e-6)


def test_linear_motion_is_followed_exactly():
    _, alphas = box_frames(60, 200, *[(10 + 20 * frame, 30 - 2 * frame, 16, 10) for frame in range(8)])
    cropped = crop_video(torch.zeros(8, 60, 200, 3), alphas, size=20, margin=0.1, follow=True)
    steps = torch.tensor([20.0, -2.0]) / 20  # the side is 16 / 0.8
    expected = (torch.arange(8) - 3.5)[:, None] * steps
    torch.testing.assert_close(cropped.crop_offsets, expected)
    torch.testing.assert_close(cropped.alphas, cropped.alphas[:1].expand(8, -1, -1))


def test_jitter_is_smoothed_within_the_margin():
    # A box with a left arm in every other frame: the center of its bounding box moves by 2 and 6 in turn.
    boxes = [(60 + 4 * frame, 10, 20, 40) for frame in range(9)]
    _, alphas = box_frames(60, 140, *boxes)
    for frame in range(1, 9, 2):
        left = boxes[frame][0]
        alphas[frame, 28:32, left - 4 : left] = 1
    cropped = crop_video(torch.zeros(9, 60, 140, 3), alphas, size=50, margin=0.1, follow=True)
    assert (free_borders(cropped.alphas) >= 5).all()
    steps = cropped.crop_offsets[:, 0].diff() * 50  # pixels of the video; the side is 40 / 0.8
    # [1, 4, 6, 4, 1] / 16 removes what alternates from frame to frame; the first and last frame stay.
    torch.testing.assert_close(steps[2:6], torch.full((4,), 4.0))


def test_object_keeps_its_margin_where_the_path_is_smoothed():
    _, alphas = box_frames(60, 200, *[(left, 20, 20, 20) for left in (10, 10, 70, 130, 130, 130, 20)])
    cropped = crop_video(torch.zeros(7, 60, 200, 3), alphas, size=50, margin=0.1, follow=True)
    assert (free_borders(cropped.alphas) == 5).all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_frames_are_followed(count):
    _, alphas = box_frames(40, 120, *[(10 + 30 * frame, 10, 10, 20) for frame in range(count)])
    cropped = crop_video(torch.zeros(count, 40, 120, 3), alphas, size=25, margin=0.1, follow=True)
    expected = (torch.arange(count) - (count - 1) / 2)[:, None] * torch.tensor([30 / 25, 0.0])
    torch.testing.assert_close(cropped.crop_offsets, expected)


def test_offsets_are_those_of_the_kept_frames():
    images, alphas, _ = crossing_disk(9)
    alphas[3] = 0
    cropped = crop_video(images, alphas, num_frames=4, size=32, margin=0.1, follow=True)
    assert cropped.frames == [0, 2, 6, 8]
    assert cropped.crop_offsets.shape == (4, 2)
    widths = cropped.crop_offsets[:, 0].diff()
    assert (widths[1] / widths[0]).item() == pytest.approx(2, rel=0.05)
