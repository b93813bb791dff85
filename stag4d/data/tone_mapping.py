"""Convert video of high dynamic range or wide gamut to sRGB.

HLG and PQ are those of ITU-R BT.2100. Luminance above that of SDR white is compressed by the curve of ITU-R
BT.2390, section 5.4.1, applied to the largest channel so that the hue is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

# Code points of ITU-T H.273, which FFmpeg uses.
PQ, HLG = 16, 18
TRANSFER_NAMES = {PQ: "PQ", HLG: "HLG"}
UNSUPPORTED_TRANSFERS = {8: "linear light", 9: "log", 10: "log", 17: "SMPTE ST 428-1"}
_UNSPECIFIED, _BT2020, _P3_D65 = 2, 9, 12

_WHITE_NITS = 203.0  # diffuse white of HDR video, ITU-R BT.2408
_PEAK_NITS = 1000.0  # of the reference HLG display, and the usual one of PQ masters
_HLG_GAMMA = 1.2  # of the reference display
_SDR_GAMMA = 2.4  # ITU-R BT.1886
_BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)

# Linear RGB to linear sRGB, rows as in ITU-R BT.2087; P3 from the chromaticities of SMPTE EG 432-1.
_TO_SRGB = {
    _BT2020: ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    _P3_D65: ((1.2249, -0.2249, 0.0), (-0.0420, 1.0420, 0.0), (-0.0196, -0.0786, 1.0983)),
}


def needs_conversion(transfer: int, primaries: int) -> bool:
    """Return whether video is HDR or has a wide gamut.

    Args:
        transfer: Transfer characteristics, a code point of ITU-T H.273.
        primaries: Color primaries, likewise.
    """
    return transfer in TRANSFER_NAMES or primaries in _TO_SRGB


def to_srgb(signal: np.ndarray, transfer: int, primaries: int) -> np.ndarray:
    """Convert the signal of HDR or wide-gamut video to sRGB.

    Args:
        signal: uint16 [H, W, 3], full range.
        transfer: Transfer characteristics, a code point of ITU-T H.273.
        primaries: Color primaries, likewise; of HDR video BT.2020 if unspecified.

    Returns:
        uint8 [H, W, 3].
    """
    linear = _linear_table(transfer)[signal]  # [H, W, 3]
    if transfer in TRANSFER_NAMES:
        linear = _tone_mapped(linear * _ootf_gain(linear) if transfer == HLG else linear)
        primaries = _BT2020 if primaries == _UNSPECIFIED else primaries
    if primaries in _TO_SRGB:
        linear = linear @ np.array(_TO_SRGB[primaries], np.float32).T
    encode = _srgb_signal if transfer in TRANSFER_NAMES else _gamma_signal
    return np.rint(encode(np.clip(linear, 0, 1)) * 255).astype(np.uint8)


@lru_cache(maxsize=3)
def _linear_table(transfer: int) -> np.ndarray:
    """Return the linear value of each 16-bit signal: nits for PQ, scene light 0..1 for HLG, else 0..1."""
    curves: dict[int, Callable[[np.ndarray], np.ndarray]] = {PQ: _pq_nits, HLG: _hlg_scene_light}
    signal = np.linspace(0, 1, 65536)
    return curves.get(transfer, lambda values: values**_SDR_GAMMA)(signal).astype(np.float32)


def _hlg_scene_light(signal: np.ndarray) -> np.ndarray:
    """Return the scene light 0..1 of an HLG signal: the inverse OETF, BT.2100 table 5."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def _ootf_gain(scene: np.ndarray) -> np.ndarray:
    """Return the factor [H, W, 1] from HLG scene light to nits on the reference display, BT.2100 table 5."""
    luminance = np.maximum(scene @ _BT2020_LUMA, 1e-6)[..., None]
    return _PEAK_NITS * luminance ** np.float32(_HLG_GAMMA - 1)


_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def _pq_nits(signal: np.ndarray) -> np.ndarray:
    """Return the luminance of a PQ signal, nits: the EOTF, BT.2100 table 4."""
    power = signal ** (1 / _M2)
    return 10000 * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)


def _pq_signal(nits: np.ndarray) -> np.ndarray:
    """Return the PQ signal of a luminance in nits: the inverse EOTF, BT.2100 table 4."""
    power = (nits / 10000) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def _tone_mapped(nits: np.ndarray) -> np.ndarray:
    """Compress [H, W, 3] nits to 0..1, where 1 is SDR white."""
    largest = np.clip(nits.max(axis=-1, keepdims=True), 1e-4, None)
    peak, white = _pq_signal(np.array([_PEAK_NITS, _WHITE_NITS]))
    knee = 1.5 * white / peak - 0.5
    value = np.minimum(_pq_signal(largest) / peak, 1)
    t = np.maximum((value - knee) / (1 - knee), 0)
    hermite = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee)
    hermite += (-2 * t**3 + 3 * t**2) * white / peak
    target = _pq_nits(np.where(value < knee, value, hermite) * peak)
    return (nits * (target / largest) / _WHITE_NITS).astype(np.float32)


def _srgb_signal(linear: np.ndarray) -> np.ndarray:
    """Return the sRGB signal of linear values 0..1, IEC 61966-2-1."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _gamma_signal(linear: np.ndarray) -> np.ndarray:
    """Return the SDR video signal of linear values 0..1."""
    return linear ** (1 / _SDR_GAMMA)
