"""Resize one picture with its matte: premultiplied, by area down, linearly up."""

from __future__ import annotations

import numpy as np

_MIN_ALPHA = 1e-4  # a fortieth of an 8-bit level: below it there is no colour to recover


def resize_with_matte(colors: np.ndarray, alpha: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Resize to ``size`` x ``size`` without mixing colors from outside the matte into it.

    Colors are weighted by their alpha, both are averaged, and the colors are divided again. Going down, a
    pixel is the exact mean over its area; going up, it is interpolated linearly between pixel centers.

    Args:
        colors: [H, W, 3] straight, 0..1.
        alpha: [H, W], 0..1.
        size: Pixels on a side of the result.

    Returns:
        Colors [size, size, 3], zero where the matte is, and alpha [size, size]; float32.
    """
    height, width = alpha.shape
    premultiplied = np.empty((height, width, 4), np.float32)
    np.multiply(colors, alpha[..., None], out=premultiplied[..., :3])
    premultiplied[..., 3] = alpha
    narrow = _resample_rows(premultiplied, size).swapaxes(0, 1)  # [W, size, 4]
    resized = _resample_rows(narrow, size).swapaxes(0, 1)  # [size, size, 4]
    resized_alpha = np.clip(resized[..., 3], 0, 1)
    is_inside = resized_alpha > _MIN_ALPHA
    divisor = np.where(is_inside, resized_alpha, np.inf)
    return np.clip(resized[..., :3] / divisor[..., None], 0, 1), resized_alpha


def _resample_rows(pixels: np.ndarray, size: int) -> np.ndarray:
    """Return [size, W, D] of [H, W, D]: each row a weighted sum of the few source rows that it covers."""
    rows, weights = _taps(pixels.shape[0], size)  # [size, T]
    resampled = pixels[rows[:, 0]] * weights[:, 0, None, None]
    for tap in range(1, rows.shape[1]):
        resampled += pixels[rows[:, tap]] * weights[:, tap, None, None]
    return resampled


def _taps(source: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each target pixel's source pixels [target, T] and their weights, which sum to one."""
    scale = source / target
    if scale > 1:
        edges = np.arange(target + 1) * scale  # borders of the target's pixels, in source pixels
        taps = edges[:-1, None].astype(int) + np.arange(int(np.ceil(scale)) + 1)
        overlaps = np.minimum(edges[1:, None], taps + 1) - np.maximum(edges[:-1, None], taps)
        weights = np.maximum(overlaps, 0) / scale
    else:
        centers = np.clip((np.arange(target) + 0.5) * scale - 0.5, 0, source - 1)
        taps = centers[:, None].astype(int) + np.arange(2)
        weights = 1 - np.abs(centers[:, None] - taps)
    return np.minimum(taps, source - 1), weights.astype(np.float32)
