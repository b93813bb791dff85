"""Resizing against values computed by hand and by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from stag4d.data.resizing import resize_with_alpha

RNG = np.random.default_rng(5)


def test_transparent_colors_do_not_bleed_in():
    colors = np.array([[[1, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, 0, 1]]], dtype=np.float32)
    alpha = np.array([[1, 0], [0.5, 0.5]], dtype=np.float32)
    resized, resized_alpha = resize_with_alpha(colors, alpha, 1)
    assert resized_alpha.tolist() == [[0.5]]  # (1 + 0 + 0.5 + 0.5) / 4
    np.testing.assert_allclose(resized, [[[0.75, 0, 0.25]]], rtol=1e-6)  # green has no weight


def test_color_is_zero_where_alpha_is_zero():
    colors, alpha = np.ones((4, 4, 3), np.float32), np.zeros((4, 4), np.float32)
    for size in (2, 7):
        resized, resized_alpha = resize_with_alpha(colors, alpha, size)
        assert not resized.any()
        assert not resized_alpha.any()


def test_enlarging_interpolates_linearly_between_pixel_centers():
    alpha = np.array([[0, 1], [0, 1]], dtype=np.float32)
    colors = np.full((2, 2, 3), 0.25, np.float32)
    resized, resized_alpha = resize_with_alpha(colors, alpha, 4)
    np.testing.assert_allclose(
        resized_alpha, [[0, 0.25, 0.75, 1]] * 4, atol=1e-7
    )  # centers at -0.25, 0.25, 0.75, 1.25
    np.testing.assert_allclose(resized[:, 1:], 0.25, rtol=1e-6)  # the soft edge keeps the color


@pytest.mark.parametrize(("source", "target"), [(12, 4), (12, 5), (13, 12), (7, 1), (3, 2)])
def test_reducing_is_the_mean_over_pixel_areas(source, target):
    alpha = RNG.random((source, source), dtype=np.float32)
    colors = RNG.random((source, source, 3), dtype=np.float32)
    resized, resized_alpha = resize_with_alpha(colors, alpha, target)

    def area_mean(values: np.ndarray) -> np.ndarray:
        fine = values.repeat(target, axis=0).repeat(target, axis=1)  # target x source pixels on a side
        return fine.reshape(target, source, target, source, -1).mean(axis=(1, 3))

    np.testing.assert_allclose(resized_alpha, area_mean(alpha[..., None])[..., 0], rtol=1e-5)
    np.testing.assert_allclose(
        resized * resized_alpha[..., None], area_mean(colors * alpha[..., None]), rtol=1e-5
    )


@pytest.mark.parametrize("size", [5, 8, 17])
def test_constant_opaque_image_stays_constant(size):
    resized, resized_alpha = resize_with_alpha(
        np.full((8, 8, 3), 0.3, np.float32), np.ones((8, 8), np.float32), size
    )
    np.testing.assert_allclose(resized, 0.3, rtol=1e-5)
    np.testing.assert_allclose(resized_alpha, 1, rtol=1e-6)
