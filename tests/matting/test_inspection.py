"""Warnings about an object that the image border cuts off, or that its motion makes small."""

from __future__ import annotations

import pytest
import torch
from simple_images import box_frames, disk

from stag4d.matting import crop_video


def warnings_of(alphas: torch.Tensor, **settings) -> tuple[str, ...]:
    """Return the warnings about alphas [F, H, W]."""
    images = torch.zeros(*alphas.shape, 3)
    return crop_video(images, alphas, size=32, margin=0.1, **settings).warnings


def test_object_inside_the_image_has_no_warning():
    assert warnings_of(box_frames(40, 60, (1, 1, 20, 20), (12, 8, 20, 20))[1]) == ()
    touching = disk(128, (64, 60), 60.0)[None]  # 15 of 340 outline pixels
    assert warnings_of(touching) == ()


def test_object_that_the_border_cuts_is_warned_of_with_frames_and_share(caplog):
    # Of the 36 outline pixels of a box of 10 x 10, the 10 of its left column are on the border.
    _, alphas = box_frames(40, 60, (5, 10, 10, 10), (0, 10, 10, 10), (0, 12, 10, 10), (5, 10, 10, 10))
    (warning,) = warnings_of(alphas)
    assert warning.startswith(
        "the image border cuts off the object in images 1 to 2, up to 28% of its outline (threshold 5%); the "
        "fit treats the part outside the image as empty."
    )
    assert warning in caplog.text


def test_frames_are_named_in_warnings():
    _, alphas = box_frames(40, 60, (5, 10, 10, 10), (0, 10, 10, 10), (5, 10, 10, 10))
    (warning,) = warnings_of(alphas, names=["a.png", "b.png", "c.png"])
    assert warning.startswith("the image border cuts off the object in b.png, up to 28%")


def test_object_that_crosses_the_image_is_warned_of():
    # From 10 to 170 pixels across: 160 of the side of 200; a box of 20 fills a tenth.
    _, alphas = box_frames(60, 200, *[(left, 20, 20, 20) for left in (10, 80, 150)])
    (warning,) = warnings_of(alphas)
    assert warning.startswith("the object fills 10% of the square's side in images 0 to 2 (threshold 20%)")
    assert "Set crop to follow (--crop follow)" in warning
    assert warnings_of(alphas, follow=True) == ()


def test_object_of_changing_size_is_warned_of_where_the_square_follows_it():
    _, alphas = box_frames(60, 200, (10, 20, 5, 5), (140, 5, 50, 50))
    (warning,) = warnings_of(alphas, follow=True)  # 5 of 50 / 0.8
    assert warning.startswith("the object fills 8% of the square's side in image 0 (threshold 20%)")
    assert "--crop follow" not in warning


@pytest.mark.parametrize(("step", "num_warnings"), [(10, 0), (50, 0), (65, 1)])
def test_moderate_motion_has_no_warning(step, num_warnings):
    _, alphas = box_frames(60, 240, *[(20 + step * frame, 20, 20, 20) for frame in range(2)])
    assert len(warnings_of(alphas)) == num_warnings  # 20 of (20 + step) / 0.8
