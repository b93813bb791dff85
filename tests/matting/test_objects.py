"""The crop follows the object: stray pixels do not enlarge it, and frames without object are left out."""

from __future__ import annotations

import logging

import pytest
import torch
from simple_images import box_frames

from stag4d.data import subsampled_fps
from stag4d.matting import crop_video
from stag4d.matting.objects import object_masks

SIZE = 24


def moving(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return frames of a box of 12 x 12 pixels that moves two pixels to the right in each."""
    return box_frames(48, 64, *[(8 + 2 * frame, 14, 12, 12) for frame in range(count)])


def cropped_alphas(images: torch.Tensor, alphas: torch.Tensor, **settings) -> torch.Tensor:
    """Return the alphas of the crop without margin."""
    return crop_video(images, alphas, **{"size": SIZE, "margin": 0.0, **settings}).alphas


@pytest.mark.parametrize("side", [1, 2])
@pytest.mark.parametrize("frames", [[0], [2], [4], [0, 2, 4]])
def test_specks_of_given_masks_do_not_enlarge_the_square(side, frames):
    images, alphas = moving(5)
    expected = cropped_alphas(images, alphas)
    for frame in frames:
        alphas[frame, 44 : 44 + side, 60 : 60 + side] = 1
    assert torch.equal(cropped_alphas(images, alphas), expected)


def test_specks_of_every_frame_do_not_enlarge_the_square():
    generator = torch.Generator().manual_seed(0)
    images, alphas = box_frames(96, 128, *[(30 + 4 * frame, 28, 36, 36) for frame in range(5)])
    expected = cropped_alphas(images, alphas)
    strays = torch.rand(alphas.shape, generator=generator) > 0.997  # pixels alone or in pairs
    assert torch.equal(object_masks((alphas + strays).clamp(max=1)).amax(dim=(1, 2)), torch.ones(5) > 0)
    strays[:, 18:74, 20:90] = False  # the others are outside of the square
    assert torch.equal(cropped_alphas(images, (alphas + strays).clamp(max=1)), expected)


def test_separate_part_of_sizable_area_is_in_the_square():
    _, alphas = moving(5)
    alphas[2, 2:6, 50:54] = 1  # 16 pixels, a ninth of the box
    with_ball = object_masks(alphas)
    assert torch.equal(with_ball, alphas > 0.5)


def test_thrown_ball_is_in_the_square_and_a_flash_of_its_area_is_not():
    _, alphas = moving(5)
    ball, flash = alphas.clone(), alphas.clone()
    for frame in range(2, 5):
        ball[frame, 2 + 8 * frame : 4 + 8 * frame, 56:58] = 1  # 4 of 144 pixels
    flash[2, 18:20, 56:58] = 1
    assert torch.equal(object_masks(ball), ball > 0.5)
    assert torch.equal(object_masks(flash), alphas > 0.5)


def test_frame_with_nothing_but_stray_pixels_has_no_object():
    _, alphas = moving(5)
    alphas[2] = 0
    alphas[2, 40, 60] = 1
    assert object_masks(alphas).flatten(1).any(dim=1).tolist() == [True, True, False, True, True]


def test_object_that_shrinks_is_kept():
    _, alphas = box_frames(64, 64, *[(20, 20, side, side) for side in (40, 24, 12, 6, 3)])
    assert torch.equal(object_masks(alphas), alphas > 0.5)


def test_flash_over_the_whole_frame_does_not_make_the_object_a_speck():
    _, alphas = box_frames(64, 64, *[(20, 20, 5, 5)] * 5)
    alphas[2] = 1
    assert torch.equal(object_masks(alphas), alphas > 0.5)


@pytest.mark.parametrize("value", [0.0, 0.4])
def test_frames_without_object_are_left_out_and_named(caplog, value):
    images, alphas = moving(10)
    for frame in (0, 1, 5):
        alphas[frame] = value
    cropped = crop_video(images, alphas, size=SIZE, margin=0.0)
    message = (
        "images 0 to 1, 5 have no object: 3 of 10 frames are left out, and later frames follow without a gap."
    )
    assert cropped.frames == [2, 3, 4, 6, 7, 8, 9]
    assert cropped.num_candidates == 7
    assert message in caplog.text
    assert cropped.warnings == (message,)
    kept = [2, 3, 4, 6, 7, 8, 9]
    expected = crop_video(images[kept], alphas[kept], size=SIZE, margin=0.0)
    assert torch.equal(cropped.images, expected.images)
    assert torch.equal(cropped.alphas, expected.alphas)


def test_kept_frames_are_evenly_spaced_among_those_with_object():
    images, alphas = moving(13)
    alphas[:4] = 0
    cropped = crop_video(images, alphas, num_frames=5, size=SIZE, margin=0.0)
    assert cropped.frames == [4, 6, 8, 10, 12]
    # At 8 frames a second, the nine frames with object take a second: four intervals of a quarter.
    assert subsampled_fps(8.0, cropped.num_candidates, len(cropped.frames)) == 4.0


def test_frames_without_object_between_the_kept_ones_change_nothing(caplog):
    caplog.set_level(logging.INFO)
    images, alphas = moving(9)
    expected = cropped_alphas(images, alphas, num_frames=5)
    alphas[3] = 0
    assert torch.equal(cropped_alphas(images, alphas, num_frames=5), expected)
    assert caplog.text == ""


def test_fade_to_black_of_a_video_with_a_plain_background_is_left_out():
    images, _ = moving(6)
    images[5] *= 0.02
    names = [f"{frame}.png" for frame in range(6)]
    cropped = crop_video(images, size=SIZE, margin=0.0, names=names)
    assert cropped.frames == [0, 1, 2, 3, 4]
    assert cropped.warnings[0].startswith("5.png has no object: 1 of 6 frames are left out")


@pytest.mark.parametrize(("empty", "kept"), [([], [0, 4, 8]), ([8], [0, 4, 7]), ([0, 8], [1, 4, 7])])
def test_frame_without_plain_background_is_rejected_by_name_if_it_is_kept(empty, kept):
    images, _ = moving(9)
    images[empty] = 0
    assert crop_video(images, num_frames=3, size=SIZE, margin=0.0).frames == kept
    images[kept[-1]] = torch.rand(images.shape[1:], generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=f"image {kept[-1]} has no plain background"):
        crop_video(images, num_frames=3, size=SIZE, margin=0.0)


def test_video_without_any_object_is_rejected():
    images, alphas = moving(3)
    with pytest.raises(
        ValueError, match=r"frames: image 0 has no object, .* and no other image has an object"
    ):
        crop_video(images, 0 * alphas, num_frames=2, size=SIZE, margin=0.0)


def test_object_that_is_small_in_one_kept_frame_but_not_suddenly_is_kept():
    """Beside frames that are kept it looks like a speck, beside its own neighbors it does not."""
    sides = [60, 60, 60, 60, 60, 60, 36, 20, 12, 8, 5]
    images, alphas = box_frames(80, 80, *[(4, 4, side, side) for side in sides])
    assert not object_masks(alphas[[0, 5, 10]])[2].any()
    cropped = crop_video(images, alphas, num_frames=3, size=SIZE, margin=0.0)
    assert cropped.frames == [0, 5, 10]
    assert "no object" not in "".join(cropped.warnings)
    assert "the object fills 8% of the square's side in image 10" in cropped.warnings[0]
