"""HDR curves against the values of their standards, and gamuts against chromaticities."""

from __future__ import annotations

import numpy as np
import pytest

from stag4d.data import tone_mapping
from stag4d.data.tone_mapping import HLG, PQ, to_srgb

WHITE = (0.3127, 0.3290)  # D65
SRGB = [(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)]
WIDE = {
    9: [(0.708, 0.292), (0.170, 0.797), (0.131, 0.046)],
    12: [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)],
}


def to_xyz(primaries: list[tuple[float, float]]) -> np.ndarray:
    """Return the matrix from linear RGB of given chromaticities to XYZ, [3, 3]."""

    def xyz(x: float, y: float) -> np.ndarray:
        return np.array([x / y, 1, (1 - x - y) / y])

    columns = np.stack([xyz(*point) for point in primaries], axis=1)
    return columns * np.linalg.solve(columns, xyz(*WHITE))


@pytest.mark.parametrize("primaries", WIDE)
def test_gamut_matrices_follow_from_the_chromaticities(primaries):
    expected = np.linalg.solve(to_xyz(SRGB), to_xyz(WIDE[primaries]))
    np.testing.assert_allclose(tone_mapping._TO_SRGB[primaries], expected, atol=3e-4)


def test_pq_has_the_luminances_of_its_standard():
    # ITU-R BT.2408: 203 nits at 58 %, 1000 nits at 75 %, 100 nits at 51 % of the signal.
    nits = tone_mapping._pq_nits(np.array([0.58, 0.75, 0.51, 1.0, 0.0]))
    np.testing.assert_allclose(nits, [203, 1000, 100, 10000, 0], rtol=0.02)
    np.testing.assert_allclose(tone_mapping._pq_signal(nits), [0.58, 0.75, 0.51, 1, 0], atol=1e-6)


def test_hlg_has_the_luminances_of_its_standard():
    # ITU-R BT.2408: diffuse white, 203 nits, at 75 %, and 18 % gray, 26 nits, at 38 % of the signal.
    scene = tone_mapping._hlg_scene_light(np.array([0.75, 0.38, 0.5, 1.0]))
    np.testing.assert_allclose(scene[2:], [1 / 12, 1], atol=1e-6)
    gray = np.repeat(scene[:, None], 3, axis=1).astype(np.float32)
    nits = gray * tone_mapping._ootf_gain(gray)
    np.testing.assert_allclose(nits[:, 0], [203, 26, 50.7, 1000], rtol=0.03)


@pytest.mark.parametrize("transfer", [HLG, PQ])
def test_brightness_below_the_knee_is_kept(transfer):
    signal = np.full((1, 1, 3), round(0.38 * 65535), np.uint16)
    expected = 1.055 * (26 / 203) ** (1 / 2.4) - 0.055
    np.testing.assert_allclose(to_srgb(signal, transfer, 9) / 255, expected, atol=0.015)


def test_sdr_of_a_wide_gamut_keeps_gray_and_enlarges_saturation():
    gray = np.full((1, 1, 3), 0x8080, np.uint16)
    np.testing.assert_allclose(to_srgb(gray, 14, 9), 128, atol=1)
    red = np.array([[[0xA0A0, 0x4040, 0x4040]]], np.uint16)
    converted = to_srgb(red, 14, 9)[0, 0].astype(int)
    assert converted[0] > 0xA0
    assert converted[1] < 0x40
