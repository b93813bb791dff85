"""Resize an image with its alpha: premultiplied; area averaging down, bilinear interpolation up."""

from __future__ import annotations

import numpy as np

_MIN_ALPHA = 1e-4  # 1/40 of an 8-bit level: the color of such a pixel is lost in rounding


def resize_with_alpha(
    colors: np.ndarray, alpha: np.ndarray, size: int | tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Resize an image without mixing background colors into the object.

    Colors are premultiplied by alpha, both are resampled, and the colors are divided by the resampled alpha.
    Reducing takes the exact mean over the area of each target pixel; enlarging interpolates linearly between
    pixel centers.

    Args:
        colors: [H, W, 3] straight, 0..1.
        alpha: [H, W], 0..1.
        size: Height and width of the result, or one number for both, pixels.

    Returns:
        Straight colors [h, w, 3], 0 where alpha is 0, and alpha [h, w]; float32.
    """
    height, width = alpha.shape
    new_height, new_width = (size, size) if isinstance(size, int) else size
    premultiplied = np.empty((height, width, 4), np.float32)
    np.multiply(colors, alpha[..., None], out=premultiplied[..., :3])
    premultiplied[..., 3] = alpha
    # Both filters are separable: resample the rows, transpose, and resample the columns as rows.
    narrow = _resample_rows(premultiplied, new_height).swapaxes(0, 1)  # [W, h, 4]
    resized = _resample_rows(narrow, new_width).swapaxes(0, 1)  # [h, w, 4]
    resized_alpha = np.clip(resized[..., 3], 0, 1)
    is_inside = resized_alpha > _MIN_ALPHA
    divisor = np.where(is_inside, resized_alpha, np.inf)  # infinity gives color 0 without a division by 0
    return np.clip(resized[..., :3] / divisor[..., None], 0, 1), resized_alpha


def _resample_rows(pixels: np.ndarray, size: int) -> np.ndarray:
    """Resample [H, W, D] to [size, W, D]: each target row is a weighted sum of a few source rows."""
    rows, weights = _filter_taps(pixels.shape[0], size)  # [size, T]
    resampled = pixels[rows[:, 0]] * weights[:, 0, None, None]
    for tap in range(1, rows.shape[1]):
        resampled += pixels[rows[:, tap]] * weights[:, tap, None, None]
    return resampled


def _filter_taps(source: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the source indices [target, T] of each target pixel and their weights, which sum to 1."""
    scale = source / target
    if scale > 1:
        # Box filter: a source pixel weighs as much as its overlap with the target pixel.
        edges = np.arange(target + 1) * scale  # borders of the target pixels, in source pixels
        taps = edges[:-1, None].astype(int) + np.arange(int(np.ceil(scale)) + 1)
        overlaps = np.minimum(edges[1:, None], taps + 1) - np.maximum(edges[:-1, None], taps)
        weights = np.maximum(overlaps, 0) / scale
    else:
        # Pixel centers are at +0.5; clipping them repeats the border pixel.
        centers = np.clip((np.arange(target) + 0.5) * scale - 0.5, 0, source - 1)
        taps = centers[:, None].astype(int) + np.arange(2)
        weights = 1 - np.abs(centers[:, None] - taps)
    return np.minimum(taps, source - 1), weights.astype(np.float32)  # taps past the border have weight 0
