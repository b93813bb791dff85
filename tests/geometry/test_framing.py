"""Framing: distances, scales and fills."""

from __future__ import annotations

import pytest
import torch
from camera_vectors import VECTORS, assert_close, tensor

from stag4d.geometry import (
    HALF_EXTENT,
    enlargement,
    enlargement_of_box,
    fill,
    fills_differ,
    framing_radius,
    framing_scale,
    intrinsics,
    ortho_intrinsics,
    reference_intrinsics,
)


def with_box(left, top, right, bottom, size=100):
    """Return the alphas [1, size, size] of a box."""
    alphas = torch.zeros(1, size, size)
    alphas[:, top:bottom, left:right] = 1
    return alphas


@pytest.mark.parametrize("fovy", VECTORS["framing"]["radius_for_fovy"])
def test_radius_equals_the_vectors(fovy):
    expected = VECTORS["framing"]["radius_for_fovy"][fovy]
    assert framing_radius(float(fovy)) == pytest.approx(expected, abs=1e-9)


def test_longer_side_spans_the_half_extent():
    vector = VECTORS["4danyone"]
    view, expected = vector["views"][0], vector["by_framing_of_the_longer_side"]
    distance = 2 / view["scale"]
    scale = framing_scale(tensor(view["K"]), 704, 1280, distance=distance)
    assert scale == pytest.approx(expected["scale"], abs=1e-9)
    assert scale * distance == pytest.approx(expected["radius"], abs=1e-9)


def test_principal_point_counts_for_the_longer_side():
    K = tensor([[100.0, 0, 60], [0, 100, 50], [0, 0, 1]])
    assert framing_scale(K, 100, 100, distance=2.0) == pytest.approx(HALF_EXTENT / 0.6 / 2)


def test_orthographic_scale_does_not_depend_on_the_distance():
    K = ortho_intrinsics([0.55], 512, 512)[0]
    expected = VECTORS["rigs"]["mvadapter"]["scale"]
    assert framing_scale(K, 512, 512, "ortho", distance=7.0) == pytest.approx(expected, rel=1e-6)


def test_small_object_is_enlarged_to_80_percent():
    K = intrinsics([40.0], 100, 100)[0]
    assert enlargement(with_box(45, 40, 55, 60), K) == pytest.approx(0.8 / 0.2)  # 10 of 50 pixels
    assert enlargement(with_box(25, 25, 75, 75), K) == 1.0
    assert enlargement(torch.zeros(2, 100, 100), K) == 1.0


def test_enlargement_of_a_box_is_by_its_farthest_edge():
    K = tensor([[40.0, 0, 60], [0, 40, 50], [0, 0, 1]])  # the image spans 60 pixels from (60, 50)
    assert enlargement_of_box((48, 45, 62, 52), K, 100, 100) == pytest.approx(0.8 / 0.2)  # 12 of 60 pixels
    assert enlargement_of_box((48, 45, 62, 68), K, 100, 100) == pytest.approx(0.8 / 0.3)
    assert enlargement_of_box((35, 45, 62, 68), K, 100, 100) == 1.0
    assert enlargement(with_box(48, 45, 62, 68), K) == enlargement_of_box((48, 45, 62, 68), K, 100, 100)


def test_fill_is_that_of_the_box_of_all_frames():
    alphas = torch.cat([with_box(20, 40, 30, 60), with_box(50, 40, 60, 60)])
    assert fill(alphas) == pytest.approx(0.4)
    assert fill(torch.zeros(1, 8, 8)) == 0.0


def test_reference_that_shows_the_object_smaller_gets_a_shorter_focal():
    Ks = intrinsics([40.0], 100, 100)
    found = reference_intrinsics(Ks, 0.6, 0.9)
    assert_close(found[0, :2, :2], Ks[0, :2, :2].double() * 2 / 3)
    assert torch.equal(found[0, :, 2], Ks[0, :, 2])
    assert fills_differ(0.6, 0.9)
    assert not fills_differ(0.87, 0.9)


def test_fill_of_an_empty_image_is_refused():
    with pytest.raises(ValueError, match=r"^framing: the object fills 0 of the reference frames and 0\.9"):
        reference_intrinsics(intrinsics([40.0], 8, 8), 0.0, 0.9)
