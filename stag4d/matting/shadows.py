"""Soft shadows and light of an object on a plain background."""

from __future__ import annotations

import numpy as np

from .components import connected_to_border, dilate, erode
from .surface import color_distances

# Chosen by us on synthetic shadows and on gray and white objects; see tests/matting/test_shadows.py.
_MIN_LIGHT, _MAX_LIGHT = 0.3, 1.6  # brightness over that of the background
_MIN_BACKGROUND = 0.2  # brightness: nothing casts a visible shadow on black
_MAX_STEP = 5 / 255  # change of the color from pixel to pixel at 256 pixels on the shorter side
_MAX_BEND = 1.5 / 255  # difference of the means over 3 x 3 and 7 x 7 pixels at that size: an edge has more
_BLUR = 2  # half width, pixels, of the mean over which steps are measured
_REACH = 4  # pixels beside the object in which its edge hides the shadow's smoothness
_MIN_AREA = 0.001  # of the image; what is smaller is no shadow
_MIN_OBJECT = 0.2  # of the area before, else the "shadow" is a smooth object of the background's hue


def with_soft_shadows(
    pixels: np.ndarray, background: np.ndarray, outside: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Extend a plain background by the soft shadows and light on it.

    In a shadow the color is that of the background times a brightness, and the brightness changes gradually
    from the unshadowed background on: its edge is wide. Where both hold, along a path from the border, pixels
    are background. The edge of an object stops the path, even if the object is gray.

    Args:
        pixels: [H, W, 3].
        background: Color [3] or [H, W, 3].
        outside: [H, W] bool, pixels of the background's color that are connected to the border.
        tolerance: Color distance up to which a pixel is of the background's color.

    Returns:
        The background in its light [H, W, 3] and the extended outside [H, W] bool; None without shadows.
    """
    squares = np.square(background).sum(axis=-1)
    level = np.sqrt(squares / 3)  # color units per unit of light
    if np.min(level) < _MIN_BACKGROUND or outside.all():
        return None
    products = pixels * background
    # [H, W] least squares of pixel = light background; three terms are several times faster than sum(axis=-1)
    light = (products[..., 0] + products[..., 1] + products[..., 2]) / squares
    is_hue = color_distances(pixels, light[..., None] * background) <= tolerance
    is_hue &= (light > _MIN_LIGHT) & (light < _MAX_LIGHT)
    # Before the smoothness is measured, which takes most of the time: its part would be smaller still.
    if _is_tiny(is_hue & ~outside) or _is_tiny(connected_to_border(outside | is_hue) & ~outside):
        return None
    is_smooth = is_hue & _is_smooth(light, level, tolerance)
    reached = connected_to_border(outside | is_smooth)
    if _is_tiny(reached & ~outside):
        return None
    for _ in range(_REACH):  # up to the object's edge, whose own step has hidden the shadow's smoothness
        near = _near_mean(light, reached, _BLUR)
        reached = reached | (dilate(reached) & is_hue & (np.abs(light - near) * level <= tolerance))
    if (~reached).sum() < _MIN_OBJECT * (~outside).sum():
        return None
    lit = _smooth_light(np.where(outside, 1.0, light), outside, reached)
    return (background * lit[..., None]).astype(np.float32), reached


def _is_tiny(shadow: np.ndarray) -> bool:
    """Return whether a mask [H, W] has nothing but mixed pixels of edges, and noise."""
    return bool(erode(shadow).sum() < _MIN_AREA * shadow.size)


def _is_smooth(light: np.ndarray, level: np.ndarray, tolerance: float) -> np.ndarray:
    """Return where the light [H, W] changes gradually: neither steeply nor at an edge.

    Args:
        light: Brightness over that of the background.
        level: Color units per unit of light, [] or [H, W].
        tolerance: Color distance up to which a pixel is of the background's color; it grows with noise.
    """
    scale = np.clip(256 / min(light.shape), 0.5, 4)
    steps = np.stack(np.gradient(_box_mean(light, _BLUR)))  # [2, H, W]
    bends = np.abs(_box_mean(light, 1) - _box_mean(light, 3))
    is_flat = np.sqrt(np.square(steps).sum(axis=0)) * level <= _MAX_STEP * scale
    return is_flat & (bends * level <= max(_MAX_BEND * scale, tolerance / 4))


def _smooth_light(light: np.ndarray, outside: np.ndarray, reached: np.ndarray) -> np.ndarray:
    """Return the light [H, W] on the background: smoothed in the shadow, continued beside it, else 1."""
    lit = np.where(reached & ~outside, _near_mean(light, reached, _BLUR), 1.0)
    beside = dilate(reached, _BLUR) & ~reached
    return np.where(beside, _near_mean(light, reached, 2 * _BLUR), lit)


def _box_mean(values: np.ndarray, radius: int) -> np.ndarray:
    """Return the mean over squares of half width ``radius`` around each pixel of [H, W], edges repeated."""
    for axis in (0, 1):
        widths = [(radius + 1, radius) if axis == current else (0, 0) for current in (0, 1)]
        sums = np.cumsum(np.pad(values, widths, mode="edge"), axis=axis, dtype=np.float64)
        count = values.shape[axis]
        after, before = (
            sums[start : start + count] if axis == 0 else sums[:, start : start + count]
            for start in (2 * radius + 1, 0)
        )
        values = (after - before) / (2 * radius + 1)
    return values


def _near_mean(values: np.ndarray, mask: np.ndarray, radius: int) -> np.ndarray:
    """Return the mean of masked values [H, W] around each pixel, 1 where there are none."""
    weights = _box_mean(mask.astype(np.float64), radius)
    sums = _box_mean(np.where(mask, values, 0.0), radius)
    return np.where(weights > 1e-6, sums / np.maximum(weights, 1e-6), 1.0)
