"""One square crop for all frames of a video, on boxes of known position, size and color."""

from __future__ import annotations

import math

import pytest
import torch
from recording import Recorder
from simple_images import RED, box_frames, with_frame_set_to

from stag4d.matting import crop_video

IMAGES, ALPHAS = box_frames(8, 10, *[(2, 2, 4, 4)] * 3)


def numbered_frames(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return frames of a centered box whose gray level is the index of the frame over 100."""
    _, alphas = box_frames(8, 8, *[(2, 2, 4, 4)] * count)
    grays = torch.arange(count) / 100
    return grays[:, None, None, None].expand(count, 8, 8, 3), alphas


def test_object_moves_in_the_crop_as_in_the_video():
    images, alphas = box_frames(40, 60, (10, 18, 4, 4), (20, 18, 4, 4), (30, 18, 4, 4))
    # Together they reach from 10 to 34 across: 24 pixels, so nothing is scaled; 8 to 32 down.
    cropped = crop_video(images, alphas, size=24, margin=0.0)
    expected_images, expected_alphas = box_frames(24, 24, (0, 10, 4, 4), (10, 10, 4, 4), (20, 10, 4, 4))
    torch.testing.assert_close(cropped.alphas, expected_alphas)
    expected_images[expected_alphas == 0] = 1.0  # white where alpha is 0
    torch.testing.assert_close(cropped.images, expected_images)


@pytest.mark.parametrize("box", [(14, 20, 32, 8), (20, 3, 6, 32)], ids=["wide", "tall"])
def test_margin_is_free_on_both_sides_of_the_longer_extent(box):
    _, alphas = box_frames(40, 60, box)
    (alpha,) = crop_video(torch.zeros(1, 40, 60, 3), alphas, size=40, margin=0.1).alphas
    extents = [torch.nonzero(alpha.amax(dim=axis) > 0.5)[:, 0] for axis in (0, 1)]  # columns, rows
    free = [(int(extent[0]), 39 - int(extent[-1])) for extent in extents]
    assert sorted(free) == sorted([(4, 4), ((40 - min(box[2:])) // 2,) * 2])


def test_alpha_is_zero_where_the_crop_reaches_beyond_the_image():
    images, alphas = box_frames(10, 10, (0, 0, 8, 8))
    cropped = crop_video(images, alphas, size=16, margin=0.25)  # from -4 to 12
    _, expected = box_frames(16, 16, (4, 4, 8, 8))
    torch.testing.assert_close(cropped.alphas, expected)
    assert (cropped.images[expected == 0] == 1).all()


def test_reducing_averages_over_pixel_areas_without_background_color():
    images, alphas = box_frames(16, 16, (1, 0, 14, 16))  # covers half of the outer pixels of the result
    cropped = crop_video(images, alphas, size=8, margin=0.0)
    expected = torch.ones(1, 8, 8)
    expected[..., 0] = expected[..., -1] = 0.5
    torch.testing.assert_close(cropped.alphas, expected)
    torch.testing.assert_close(cropped.images, torch.tensor(RED).expand(1, 8, 8, 3))


def test_enlarging_is_linear_between_pixel_centers():
    images, alphas = box_frames(4, 4, (1, 1, 2, 2))
    cropped = crop_video(images, alphas, size=8, margin=0.25)  # the whole image, doubled
    (alpha,) = cropped.alphas
    profile = torch.tensor([0, 0.25, 0.75, 1, 1, 0.75, 0.25, 0])
    torch.testing.assert_close(alpha, profile[:, None] * profile)
    torch.testing.assert_close(cropped.images[0, alpha > 0], torch.tensor(RED).expand(36, 3))


def test_reducing_by_a_fractional_factor_keeps_the_area():
    soft = torch.rand(1, 31, 23, generator=torch.Generator().manual_seed(0))
    alphas = torch.zeros(1, 50, 60)
    alphas[:, 7:38, 20:43] = soft
    alphas[:, [7, 37], 25] = 1.0  # so that the box's height is 31
    cropped_alphas = crop_video(torch.zeros(1, 50, 60, 3), alphas, size=17, margin=0.15).alphas
    pixel_area = (31 / 0.7 / 17) ** 2
    assert cropped_alphas.sum().item() * pixel_area == pytest.approx(alphas.sum().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("count", "num_frames", "kept"),
    [
        (9, 5, [0, 2, 4, 6, 8]),
        (10, 4, [0, 3, 6, 9]),
        (6, 3, [0, 2, 5]),
        (5, 1, [0]),
        (4, 4, [0, 1, 2, 3]),
        (4, 0, [0, 1, 2, 3]),
        (3, 16, [0, 1, 2]),
    ],
)
def test_kept_frames_are_evenly_spaced_from_first_to_last(count, num_frames, kept):
    images, alphas = numbered_frames(count)
    cropped = crop_video(images, alphas, num_frames=num_frames, size=4, margin=0.0)
    torch.testing.assert_close(cropped.images[:, 2, 2, 0], torch.tensor(kept) / 100)
    assert cropped.alphas.shape == (len(kept), 4, 4)


def test_dropped_frames_do_not_affect_the_crop():
    images, alphas = box_frames(20, 20, (8, 8, 4, 4), (0, 0, 20, 20), (8, 8, 4, 4))
    images[1] = math.nan
    cropped_alphas = crop_video(images, alphas, num_frames=2, size=4, margin=0.0).alphas
    assert (cropped_alphas == 1).all()


def test_half_precision_input_gives_float32():
    images, alphas = box_frames(8, 8, (2, 2, 4, 4))
    cropped = crop_video(images.half(), alphas.half(), size=4, margin=0.0)
    assert cropped.images.dtype == cropped.alphas.dtype == torch.float32
    assert torch.equal(cropped.images, torch.tensor(RED).expand(1, 4, 4, 3))


def test_alpha_channel_of_images_equals_separate_alphas():
    images, alphas = box_frames(12, 12, (4, 4, 4, 4))
    with_alpha = torch.cat([images, alphas[..., None]], dim=-1)
    from_alpha = crop_video(with_alpha, size=8, margin=0.1)
    separate = crop_video(images, alphas, size=8, margin=0.1)
    assert torch.equal(from_alpha.images, separate.images)
    assert torch.equal(from_alpha.alphas, separate.alphas)


def test_a_fully_opaque_frame_is_accepted_among_others():
    cropped_alphas = crop_video(IMAGES, with_frame_set_to(ALPHAS, 1, 1.0), size=10, margin=0.0).alphas
    assert cropped_alphas.sum(dim=(1, 2)).tolist() == [16, 80, 16]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_frames": -1}, r"num_frames is -1; expected 0 \(all\) or more"),
        ({"size": 0}, "size is 0; expected at least one pixel"),
        ({"margin": 0.5}, "margin is 0.5; expected 0 to below 0.5"),
        ({"margin": -0.1}, "margin is -0.1; expected 0"),
        ({"margin": math.nan}, "margin is nan; expected 0"),
    ],
)
def test_settings_out_of_range_are_rejected(settings, message):
    with pytest.raises(ValueError, match=message):
        crop_video(IMAGES, ALPHAS, **{"size": 8, "margin": 0.1, **settings})


def test_monitor_is_called_after_each_alpha_and_each_crop():
    images = torch.zeros(3, 8, 8, 3)
    alphas = torch.zeros(3, 8, 8)
    alphas[:, 2:6, 2:6] = 1
    monitor = Recorder()
    crop_video(images, alphas, num_frames=2, size=4, margin=0.0, monitor=monitor)
    assert monitor.calls == [("crop", done, 4) for done in range(1, 5)]
