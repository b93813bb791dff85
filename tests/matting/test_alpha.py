"""Alphas given, of the images or from a plain background, and the images that have none."""

from __future__ import annotations

import math

import pytest
import torch
from simple_images import box_frames, with_frame_set_to

from stag4d.matting import crop_video, object_alphas

IMAGES, ALPHAS = box_frames(8, 10, *[(2, 2, 4, 4)] * 3)
STRIPES = (torch.arange(10) % 2).float()[None, None, :, None].expand(3, 8, 10, 3)


def test_given_alphas_take_precedence_over_the_images_alpha_and_that_over_the_border():
    images, box = box_frames(12, 12, (4, 4, 4, 4))
    _, other = box_frames(12, 12, (1, 1, 3, 3))
    with_alpha = torch.cat([images, other[..., None]], dim=-1)
    assert torch.equal(object_alphas(images), box)
    assert torch.equal(object_alphas(with_alpha), other)
    assert torch.equal(object_alphas(with_alpha, box), box)


@pytest.mark.parametrize("source", ["given", "alpha", "border"])
def test_uint8_images_equal_float_images(source):
    generator = torch.Generator().manual_seed(0)
    _, alphas = box_frames(12, 12, (3, 3, 4, 5), (5, 4, 4, 5))
    pixels = torch.randint(0, 200, (2, 12, 12, 3), generator=generator, dtype=torch.uint8)
    pixels[alphas == 0] = 255  # a plain background
    if source == "alpha":
        soft = torch.where(alphas > 0, 201, 3).byte()
        pixels = torch.cat([pixels, soft[..., None]], dim=-1)
    given = alphas if source == "given" else None
    from_bytes = crop_video(pixels, given, size=8, margin=0.1)
    from_floats = crop_video(pixels.float() / 255, given, size=8, margin=0.1)
    assert torch.equal(from_bytes.images, from_floats.images)
    assert torch.equal(from_bytes.alphas, from_floats.alphas)
    assert (
        0.1 < from_bytes.images[from_bytes.alphas > 0.5].mean() < 0.7
    )  # scaled to 0..1, neither black nor clipped
    assert torch.equal(object_alphas(pixels, given), object_alphas(pixels.float() / 255, given))
    assert object_alphas(pixels, given).max() == (201 / 255 if source == "alpha" else 1)


def test_uint8_alphas_equal_float_alphas():
    images, alphas = box_frames(12, 12, (3, 3, 6, 6))
    levels = (alphas * 252 + 3).to(torch.uint8)  # 3 of 255 outside is faint, not opaque
    as_bytes = (images * 255).round().to(torch.uint8)
    torch.testing.assert_close(object_alphas(as_bytes, levels), levels / 255)
    found = crop_video(as_bytes, levels, size=8, margin=0.1)
    expected = crop_video(as_bytes / 255, levels / 255, size=8, margin=0.1)
    assert torch.equal(found.images, expected.images)
    assert torch.equal(found.alphas, expected.alphas)


@pytest.mark.parametrize(
    ("images", "alphas", "message"),
    [
        (IMAGES[:0], ALPHAS[:0], "frames: no frames; expected at least one"),
        (IMAGES[..., :1], ALPHAS, r"images have shape \[3, 8, 10, 1\]; expected \[F, H, W, 3 or 4\]"),
        (IMAGES, ALPHAS[:1], r"alphas have shape \[1, 8, 10\]; expected \[3, 8, 10\], one for each image"),
        (IMAGES, ALPHAS[:, :6], "alphas of 10x6 pixels; expected 10x8, as the images"),
        (
            IMAGES,
            ALPHAS * 0.25,
            r"image 0 has no object, its largest alpha is 0\.25; expected more than 0\.5",
        ),
        (torch.ones_like(IMAGES), None, "image 0 has no object, its largest alpha is 0; expected"),
        (IMAGES, torch.ones_like(ALPHAS), "frames: no background, alpha is at least 1 everywhere; expected"),
        (with_frame_set_to(IMAGES, 2, math.nan), ALPHAS, "image 2 has pixels that are not finite"),
        (IMAGES, with_frame_set_to(ALPHAS, 2, math.inf), "image 2 has alpha values that are not finite"),
        (with_frame_set_to(IMAGES, 2, 255.0), ALPHAS, "image 2 has pixels from 255 to 255; expected 0 to 1"),
        (IMAGES, with_frame_set_to(ALPHAS, 2, 3.0), "image 2 has alpha values from 3 to 3; expected 0 to 1"),
        (IMAGES, with_frame_set_to(ALPHAS, 1, -1.0), "image 1 has alpha values from -1 to -1; expected"),
        (STRIPES, None, "image 0 has no plain background: 0% of the border"),
    ],
)
def test_images_without_usable_alpha_are_rejected(images, alphas, message):
    with pytest.raises(ValueError, match=message):
        crop_video(images, alphas, size=8, margin=0.1)
    with pytest.raises(ValueError, match=message):
        object_alphas(images, alphas)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("span", [slice(None), slice(10, 30)])
def test_values_that_are_not_finite_are_named_where_alpha_is_computed(value, span):
    images, _ = box_frames(40, 40, (8, 8, 24, 24), (8, 8, 24, 24))
    images *= ~(images[..., 1:2] == 1)  # on black
    images[:, span, span] = value
    with pytest.raises(ValueError, match="image 0 has pixels that are not finite"):
        object_alphas(images)


def test_values_little_beyond_0_to_1_are_clamped():
    overshoot = (ALPHAS - 0.5) * 1.8 + 0.5  # -0.4 to 1.4, as of a resampling filter
    assert torch.equal(object_alphas(IMAGES, overshoot), ALPHAS)
    images = crop_video((IMAGES - 0.5) * 1.8 + 0.5, overshoot, size=8, margin=0.1).images
    assert (images.min(), images.max()) == (0, 1)


def test_rejected_image_is_named_by_its_index_or_name():
    images = with_frame_set_to(IMAGES, 2, math.nan)
    with pytest.raises(ValueError, match="frames: image 2 has pixels that are not finite"):
        crop_video(images, ALPHAS, num_frames=2, size=8, margin=0.1)
    with pytest.raises(ValueError, match=r"frames: c\.png has pixels that are not finite"):
        crop_video(images, ALPHAS, size=8, margin=0.1, names=["a.png", "b.png", "c.png"])
    with pytest.raises(ValueError, match="views: image 2 has pixels that are not finite"):
        object_alphas(images, ALPHAS, subject="views")


def test_image_without_object_is_rejected_where_images_cannot_be_left_out():
    with pytest.raises(
        ValueError, match=r"views: image 2 has no object, .* Prepare Frames leaves such images"
    ):
        object_alphas(IMAGES, with_frame_set_to(ALPHAS, 2, 0.0), subject="views")


@pytest.mark.parametrize("has_alpha_channel", [False, True])
def test_inverted_masks_are_rejected_with_the_remedy(has_alpha_channel):
    images, alphas = box_frames(20, 24, (4, 4, 8, 8), (8, 10, 8, 10), (10, 4, 8, 8))  # one touches the border
    given = 1 - alphas
    message = (
        r"the mask is inverted, \d+% of the image border .* Set invert_mask .* or give .* --invert-mattes"
    )
    if has_alpha_channel:
        images, given = torch.cat([images, given[..., None]], dim=-1), None
    with pytest.raises(ValueError, match=message):
        crop_video(images, given, size=8, margin=0.1)
    with pytest.raises(ValueError, match=message):
        object_alphas(images, given)


def test_object_that_touches_all_borders_is_no_inverted_mask():
    images, alphas = box_frames(20, 24, (2, 0, 20, 20))  # 40 of 84 border pixels
    alphas[0, 4:16] = 1  # and 24 more
    assert torch.equal(object_alphas(images, alphas), alphas)


def test_background_that_is_not_plain_names_what_makes_masks():
    with pytest.raises(
        ValueError,
        match=r"smoothly lit\. Masks come from Remove Background for STAG4D Prepare Frames, and from",
    ):
        crop_video(STRIPES, size=8, margin=0.1)
