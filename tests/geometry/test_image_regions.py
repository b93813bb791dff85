"""Intrinsics of crops and resized images, against vectors."""

from __future__ import annotations

import pytest
import torch
from camera_vectors import VECTORS, assert_close, tensor

from stag4d.geometry import crop_intrinsics, intrinsics_of_size, resize_intrinsics

VECTOR = VECTORS["crop_resize"]


def test_crop_resize_and_pad_equal_the_vector():
    K = tensor(VECTOR["K"])
    cropped = crop_intrinsics(K, *VECTOR["crop_left_top"])
    assert_close(resize_intrinsics(cropped, VECTOR["crop_size"], VECTOR["resize_to"]), VECTOR["K_after"])
    left, top = VECTOR["pad_left_top"]
    assert_close(crop_intrinsics(K, -left, -top), VECTOR["K_after_pad_only"])


def test_resized_copy_of_the_declared_size_scales_the_intrinsics():
    K = tensor(VECTOR["K"])
    assert torch.equal(intrinsics_of_size(K, (704, 1280), (704, 1280), "view 0"), K)
    assert_close(
        intrinsics_of_size(K, (704, 1280), (352, 640), "view 0"), (K * tensor([[0.5], [0.5], [1]])).tolist()
    )
    rounded = intrinsics_of_size(K, (1007, 1600), (504, 800), "view 0")  # half, to whole pixels
    assert rounded[0, 0].item() == pytest.approx(K[0, 0].item() * 504 / 1007)


@pytest.mark.parametrize("actual", [(1280, 704), (704, 704), (352, 700)])
def test_other_aspect_ratio_is_refused(actual):
    with pytest.raises(ValueError, match=r"^view 0: images of .* pixels for a camera of 704x1280; expected"):
        intrinsics_of_size(tensor(VECTOR["K"]), (704, 1280), actual, "view 0")
