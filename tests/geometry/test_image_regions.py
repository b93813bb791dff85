"""Intrinsics of crops and boxes, against vectors and by projected points."""

from __future__ import annotations

import pytest
import torch
from camera_vectors import VECTORS, assert_close, tensor

from stag4d.geometry import (
    OrbitPose,
    box_intrinsics,
    box_shifts,
    crop_intrinsics,
    generated_box_intrinsics,
    intrinsics_of_size,
    orbit_viewmats,
    project_points,
    resize_intrinsics,
    shift_viewmats,
)

VECTOR, BOXES = VECTORS["crop_resize"], VECTORS["per_frame_crop"]


def test_crop_resize_and_pad_equal_the_vector():
    K = tensor(VECTOR["K"])
    cropped = crop_intrinsics(K, *VECTOR["crop_left_top"])
    assert_close(resize_intrinsics(cropped, VECTOR["crop_size"], VECTOR["resize_to"]), VECTOR["K_after"])
    left, top = VECTOR["pad_left_top"]
    assert_close(crop_intrinsics(K, -left, -top), VECTOR["K_after_pad_only"])


def test_boxes_of_frames_equal_the_vector():
    boxes = tensor([[box["bx"], box["by"], box["bs"]] for box in BOXES["boxes"]])
    found = box_intrinsics(tensor(BOXES["K"]), boxes, BOXES["S"])
    assert_close(found, [box["K"] for box in BOXES["boxes"]])
    views = generated_box_intrinsics(tensor(BOXES["K"]), boxes, BOXES["S"])
    assert_close(views[:, 0, 0], found[:, 0, 0].tolist())
    assert_close(views[:, :2, 2], [[256.0, 256.0]] * 2)


def test_shifted_camera_centers_the_object_as_the_box_does():
    """A point in the plane of the origin has the same pixel in the box and in the view that follows it."""
    K, side = tensor(BOXES["K"]), BOXES["S"]
    viewmat = orbit_viewmats([OrbitPose(azimuth_deg=20.0, elevation_deg=30.0)]).double()[0]
    boxes = tensor([[300.0, 220.0, 400.0]])
    shifts = box_shifts(boxes, K, viewmat, side)
    point = shifts + tensor([[0.1, 0.0, 0.0]]) @ viewmat[:3, :3]  # right of the object
    in_box, _ = project_points(point, viewmat, box_intrinsics(K, boxes, side)[0])
    followed = shift_viewmats(viewmat, shifts)
    in_view, depth = project_points(point, followed[0], generated_box_intrinsics(K, boxes, side)[0])
    assert_close(in_view, in_box.tolist())
    assert depth.item() == pytest.approx(2.0)


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
