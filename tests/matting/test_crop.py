"""One crop for a whole clip, on squares whose place, size and color are known."""

from __future__ import annotations

import math

import pytest
import torch
from recording import Recorder

from stag4d.matting import object_alphas, prepare_frames

RED = torch.tensor([1.0, 0.0, 0.0])
GREEN = torch.tensor([0.0, 1.0, 0.0])


def boxes(height: int, width: int, *places: tuple[int, int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return one frame for each (left, top, width, height): a red box before green, and its matte."""
    alphas = torch.zeros(len(places), height, width)
    for alpha, (left, top, across, down) in zip(alphas, places, strict=True):
        alpha[top : top + down, left : left + across] = 1
    images = alphas[..., None] * RED + (1 - alphas[..., None]) * GREEN
    return images, alphas


def numbered(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return frames of a centered box whose gray is the frame's number over 100."""
    _, alphas = boxes(8, 8, *[(2, 2, 4, 4)] * count)
    grays = torch.arange(count) / 100
    return grays[:, None, None, None].expand(count, 8, 8, 3), alphas


def test_a_moving_square_keeps_its_motion():
    images, alphas = boxes(40, 60, (10, 18, 4, 4), (20, 18, 4, 4), (30, 18, 4, 4))
    # Together they reach from 10 to 34 across: 24 pixels, so nothing is scaled; 8 to 32 down.
    cut_images, cut_alphas = prepare_frames(images, alphas, size=24, margin=0.0)
    expected_images, expected_alphas = boxes(24, 24, (0, 10, 4, 4), (10, 10, 4, 4), (20, 10, 4, 4))
    torch.testing.assert_close(cut_alphas, expected_alphas)
    expected_images[expected_alphas == 0] = 1.0  # white where alpha is 0
    torch.testing.assert_close(cut_images, expected_images)


@pytest.mark.parametrize("place", [(14, 20, 32, 8), (20, 3, 6, 32)], ids=["wide", "tall"])
def test_the_margin_is_free_on_both_sides_of_the_longer_extent(place):
    _, alphas = boxes(40, 60, place)
    _, (alpha,) = prepare_frames(torch.zeros(1, 40, 60, 3), alphas, size=40, margin=0.1)
    extents = [torch.nonzero(alpha.amax(dim=axis) > 0.5)[:, 0] for axis in (0, 1)]  # columns, rows
    free = [(int(extent[0]), 39 - int(extent[-1])) for extent in extents]
    assert sorted(free) == sorted([(4, 4), ((40 - min(place[2:])) // 2,) * 2])


def test_the_crop_may_reach_beyond_the_picture_where_alpha_is_zero():
    images, alphas = boxes(10, 10, (0, 0, 8, 8))
    cut_images, cut_alphas = prepare_frames(images, alphas, size=16, margin=0.25)  # from -4 to 12
    _, expected = boxes(16, 16, (4, 4, 8, 8))
    torch.testing.assert_close(cut_alphas, expected)
    assert (cut_images[expected == 0] == 1).all()


def test_going_down_a_pixel_is_the_mean_over_its_area_and_takes_no_color_from_the_background():
    images, alphas = boxes(16, 16, (1, 0, 14, 16))  # the first and last column of pairs are half covered
    cut_images, cut_alphas = prepare_frames(images, alphas, size=8, margin=0.0)
    expected = torch.ones(1, 8, 8)
    expected[..., 0] = expected[..., -1] = 0.5
    torch.testing.assert_close(cut_alphas, expected)
    torch.testing.assert_close(cut_images, RED.expand(1, 8, 8, 3))


def test_going_up_is_linear_between_pixel_centers():
    images, alphas = boxes(4, 4, (1, 1, 2, 2))
    cut_images, (alpha,) = prepare_frames(images, alphas, size=8, margin=0.25)  # the picture itself, doubled
    profile = torch.tensor([0, 0.25, 0.75, 1, 1, 0.75, 0.25, 0])
    torch.testing.assert_close(alpha, profile[:, None] * profile)
    torch.testing.assert_close(cut_images[0, alpha > 0], RED.expand(36, 3))


def test_going_down_by_an_uneven_factor_keeps_the_area():
    soft = torch.rand(1, 31, 23, generator=torch.Generator().manual_seed(0))
    alphas = torch.zeros(1, 50, 60)
    alphas[:, 7:38, 20:43] = soft
    alphas[:, [7, 37], 25] = 1.0  # so that the box's height is 31
    _, cut_alphas = prepare_frames(torch.zeros(1, 50, 60, 3), alphas, size=17, margin=0.15)
    pixel_area = (31 / 0.7 / 17) ** 2
    assert cut_alphas.sum().item() * pixel_area == pytest.approx(alphas.sum().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("count", "asked", "kept"),
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
def test_frames_are_spread_evenly_from_the_first_to_the_last(count, asked, kept):
    images, alphas = numbered(count)
    cut_images, cut_alphas = prepare_frames(images, alphas, num_frames=asked, size=4, margin=0.0)
    torch.testing.assert_close(cut_images[:, 2, 2, 0], torch.tensor(kept) / 100)
    assert cut_alphas.shape == (len(kept), 4, 4)


def test_frames_that_are_left_out_have_no_say():
    images, alphas = boxes(20, 20, (8, 8, 4, 4), (0, 0, 20, 20), (8, 8, 4, 4))
    images[1] = math.nan
    _, cut_alphas = prepare_frames(images, alphas, num_frames=2, size=4, margin=0.0)
    assert (cut_alphas == 1).all()


def test_half_precision_is_taken():
    images, alphas = boxes(8, 8, (2, 2, 4, 4))
    cut_images, cut_alphas = prepare_frames(images.half(), alphas.half(), size=4, margin=0.0)
    assert cut_images.dtype == cut_alphas.dtype == torch.float32
    assert torch.equal(cut_images, RED.expand(1, 4, 4, 3))


@pytest.mark.parametrize("matte", ["given", "alpha", "border"])
def test_bytes_give_what_floats_give(matte):
    generator = torch.Generator().manual_seed(0)
    _, alphas = boxes(12, 12, (3, 3, 4, 5), (5, 4, 4, 5))
    pixels = torch.randint(0, 200, (2, 12, 12, 3), generator=generator, dtype=torch.uint8)
    pixels[alphas == 0] = 255  # one plain color
    if matte == "alpha":
        soft = torch.where(alphas > 0, 201, 3).byte()
        pixels = torch.cat([pixels, soft[..., None]], dim=-1)
    given = alphas if matte == "given" else None
    from_bytes = prepare_frames(pixels, given, size=8, margin=0.1)
    from_floats = prepare_frames(pixels.float() / 255, given, size=8, margin=0.1)
    for found, expected in zip(from_bytes, from_floats, strict=True):
        assert torch.equal(found, expected)
    assert 0.1 < from_bytes[0][from_bytes[1] > 0.5].mean() < 0.7  # of 0..1, neither black nor clipped
    assert torch.equal(object_alphas(pixels, given), object_alphas(pixels.float() / 255, given))
    assert object_alphas(pixels, given).max() == (201 / 255 if matte == "alpha" else 1)


def test_a_matte_is_the_given_one_or_the_alpha_or_found_before_a_plain_background():
    images, box = boxes(12, 12, (4, 4, 4, 4))
    _, other = boxes(12, 12, (1, 1, 3, 3))
    with_alpha = torch.cat([images, other[..., None]], dim=-1)
    assert torch.equal(object_alphas(images), box)
    assert torch.equal(object_alphas(with_alpha), other)
    assert torch.equal(object_alphas(with_alpha, box), box)


def test_colors_of_images_with_alpha_are_cut_with_it():
    images, alphas = boxes(12, 12, (4, 4, 4, 4))
    with_alpha = torch.cat([images, alphas[..., None]], dim=-1)
    from_alpha = prepare_frames(with_alpha, size=8, margin=0.1)
    from_mask = prepare_frames(images, alphas, size=8, margin=0.1)
    assert all(torch.equal(one, other) for one, other in zip(from_alpha, from_mask, strict=True))


def test_mattes_may_be_bytes_like_images():
    images, alphas = boxes(12, 12, (3, 3, 6, 6))
    levels = (alphas * 252 + 3).to(torch.uint8)  # 3 of 255 outside is faint, not opaque
    as_bytes = (images * 255).round().to(torch.uint8)
    torch.testing.assert_close(object_alphas(as_bytes, levels), levels / 255)
    found = prepare_frames(as_bytes, levels, size=8, margin=0.1)
    expected = prepare_frames(as_bytes / 255, levels / 255, size=8, margin=0.1)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def changed(tensor: torch.Tensor, frame: int, value: float) -> torch.Tensor:
    """Return a copy whose frame is one value everywhere."""
    copy = tensor.clone()
    copy[frame] = value
    return copy


IMAGES, ALPHAS = boxes(8, 10, *[(2, 2, 4, 4)] * 3)
STRIPES = (torch.arange(10) % 2).float()[None, None, :, None].expand(3, 8, 10, 3)


@pytest.mark.parametrize(
    ("images", "alphas", "message"),
    [
        (IMAGES[:0], ALPHAS[:0], "clip: no frames; expected at least one"),
        (IMAGES[..., :1], ALPHAS, r"images have shape \[3, 8, 10, 1\]; expected \[F, H, W, 3 or 4\]"),
        (IMAGES, ALPHAS[:1], r"mattes have shape \[1, 8, 10\]; expected \[3, 8, 10\], one for each image"),
        (IMAGES, ALPHAS[:, :6], "mattes of 10x6 pixels; expected 10x8, as the images"),
        (
            IMAGES,
            changed(ALPHAS, 1, 0.25),
            "image 1 has an empty matte, its largest alpha is 0.25; expected an",
        ),
        (
            torch.ones_like(IMAGES),
            None,
            "image 0 has an empty matte, its largest alpha is 0; expected an object",
        ),
        (IMAGES, torch.ones_like(ALPHAS), "every matte is full; expected background around the object"),
        (changed(IMAGES, 2, math.nan), ALPHAS, "image 2 has pixels that are not finite"),
        (IMAGES, changed(ALPHAS, 2, math.inf), "image 2 has a matte that is not finite"),
        (STRIPES, None, "image 0 came without a matte, and matte: the border is not plain"),
    ],
)
def test_clips_that_cannot_be_cut_are_refused(images, alphas, message):
    with pytest.raises(ValueError, match=message):
        prepare_frames(images, alphas, size=8, margin=0.1)
    with pytest.raises(ValueError, match=message):
        object_alphas(images, alphas)


def test_a_refused_image_is_named_by_its_number_in_the_clip():
    with pytest.raises(ValueError, match="image 2 has an empty matte"):
        prepare_frames(IMAGES, changed(ALPHAS, 2, 0.0), num_frames=2, size=8, margin=0.1)


def test_one_full_matte_among_others_is_taken():
    _, cut_alphas = prepare_frames(IMAGES, changed(ALPHAS, 1, 1.0), size=10, margin=0.0)
    assert cut_alphas.sum(dim=(1, 2)).tolist() == [16, 80, 16]


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
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        prepare_frames(IMAGES, ALPHAS, **{"size": 8, "margin": 0.1, **settings})


def test_monitor_is_called_after_each_alpha_and_each_crop():
    images = torch.zeros(3, 8, 8, 3)
    alphas = torch.zeros(3, 8, 8)
    alphas[:, 2:6, 2:6] = 1
    monitor = Recorder()
    prepare_frames(images, alphas, num_frames=2, size=4, margin=0.0, monitor=monitor)
    assert monitor.calls == [("crop", done, 4) for done in range(1, 5)]
