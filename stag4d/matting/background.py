"""Mattes of an object in front of one plain colour."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# Ours, for 8-bit pictures that may have been through JPEG or a video codec.
_MIN_TOLERANCE = 8 / 255  # colours nearer than this to the background's are background
_MAX_TOLERANCE = 24 / 255  # noisier borders are not plain
_NOISE_FACTOR = 4.0  # tolerance over the border's median deviation
_PLAIN_SHARE = 0.7  # of the border's pixels; an object may touch the rest
_SPECK_SHARE = 0.01  # of the largest part's area; smaller parts are dust


def alpha_from_border(image: Tensor) -> Tensor:
    """Return the matte of what stands in front of a plain background.

    The background's color is the median of the image's outermost pixels. What is of that color and connected
    to the border is background; everything else is object. So an eye or a shirt of the background's color
    stays opaque, and so does a hole in the object through which the background shows. Parts smaller than a
    hundredth of the largest are dropped, and so is what is both thin and faint. Alpha is 1 inside; in the
    object's outermost pixels it says how far their color has gone from the background's to that of the pixels
    further in.

    Args:
        image: [H, W, 3], 0..1, at least 3 pixels on a side.

    Returns:
        Alpha [H, W], float32 0..1; all zeros when there is nothing but background.

    Raises:
        ValueError: if the shape is another, or the border is not of one color.
    """
    if image.ndim != 3 or image.shape[-1] != 3 or min(image.shape[:2]) < 3:
        raise ValueError(f"matte: image of shape {list(image.shape)}; expected [H, W, 3], 3 pixels or more.")
    pixels = image.detach().cpu().float().numpy()  # [H, W, 3]
    background, tolerance = _plain_border(pixels)
    outside = _touching_border(_distances(pixels, background) <= tolerance)
    inside = _without_specks(~outside)
    return torch.from_numpy(_soften_edge(pixels, background, inside, tolerance)).to(image.device)


def border_color(image: Tensor) -> Tensor:
    """Return the median color [3] of the outermost pixels of an image [H, W, 3]."""
    return torch.from_numpy(_median_color(_ring(image.detach().cpu().float().numpy()))).to(image)


def _ring(pixels: np.ndarray) -> np.ndarray:
    """Return the outermost pixels of an image [H, W, 3], each once, [2 (H + W) - 4, 3]."""
    return np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])


def _median_color(ring: np.ndarray) -> np.ndarray:
    """Return the median color [3] of pixels [N, 3], channel by channel."""
    return np.median(ring, axis=0)


def _distances(colors: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return the largest difference over the channels, [...] of [..., 3]."""
    differences = np.abs(colors - background)
    return np.maximum(np.maximum(differences[..., 0], differences[..., 1]), differences[..., 2])


def _plain_border(pixels: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the border's color [3] and how far background may be from it; raises ValueError if not plain."""
    ring = _ring(pixels)
    background = _median_color(ring)
    deviations = _distances(ring, background)
    noise = float(np.median(deviations))
    tolerance = min(max(_NOISE_FACTOR * noise, _MIN_TOLERANCE), _MAX_TOLERANCE)
    share = float(np.mean(deviations <= tolerance))
    if share < _PLAIN_SHARE:
        raise ValueError(
            f"matte: the border is not plain, {share:.0%} of it has one color; expected at least "
            f"{_PLAIN_SHARE:.0%}, or an image with alpha."
        )
    return background, tolerance


def _touching_border(mask: np.ndarray) -> np.ndarray:
    """Return the part of a mask [H, W] that is connected to the image's border, bool [H, W]."""
    labels = label_components(mask)
    ring = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    is_touching = np.zeros(labels.max() + 1, dtype=bool)
    is_touching[ring] = True
    is_touching[0] = False
    return is_touching[labels]


def _without_specks(mask: np.ndarray) -> np.ndarray:
    """Return a mask [H, W] without its parts that are much smaller than the largest, bool [H, W]."""
    labels = label_components(mask)
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    is_part = areas >= max(_SPECK_SHARE * areas.max(), 1)
    return is_part[labels]


def label_components(mask: np.ndarray) -> np.ndarray:
    """Number the 4-connected parts of a mask.

    Args:
        mask: [H, W] bool.

    Returns:
        Int64 [H, W]: 0 outside the mask, parts from 1 in the order of their first pixel, row by row.
    """
    opens = mask & ~np.pad(mask, ((0, 0), (1, 0)))[:, :-1]  # first pixels of the runs
    run_of_pixel = np.cumsum(opens).reshape(mask.shape) - 1  # [H, W], meaningful inside the mask
    touches = mask[:-1] & mask[1:]
    touches[:, 1:] &= opens[:-1, 1:] | opens[1:, 1:] | ~touches[:, :-1]  # once per pair of runs is enough
    parents = list(range(int(opens.sum())))

    def root(run: int) -> int:
        while parents[run] != run:
            parents[run] = parents[parents[run]]
            run = parents[run]
        return run

    pairs = np.stack([run_of_pixel[:-1][touches], run_of_pixel[1:][touches]], axis=1)  # [P, 2] above, below
    for above, below in pairs.tolist():
        first, second = sorted((root(above), root(below)))
        parents[second] = first
    roots = np.array([root(run) for run in range(len(parents))], dtype=np.int64)
    label_of_run = np.unique(roots, return_inverse=True)[1] + 1
    labels = np.zeros(mask.shape, dtype=np.int64)
    labels[mask] = label_of_run[run_of_pixel[mask]]
    return labels


def _soften_edge(
    pixels: np.ndarray, background: np.ndarray, inside: np.ndarray, tolerance: float
) -> np.ndarray:
    """Return alpha [H, W]: 1 in a mask, in its outermost pixels the share of the object's color in theirs.

    Where an outermost pixel has no inside near, its color counts for the object's, unless it hardly differs
    from the background's.
    """
    core = _erode(inside)
    rows, columns = np.nonzero(inside & ~core)  # [E] edge pixels
    steps = np.arange(-2, 3)
    near_rows = np.clip(rows[:, None] + np.repeat(steps, 5), 0, inside.shape[0] - 1)  # [E, 25]
    near_columns = np.clip(columns[:, None] + np.tile(steps, 5), 0, inside.shape[1] - 1)
    weights = core[near_rows, near_columns].astype(np.float32)  # [E, 25]
    num_core = weights.sum(axis=1)
    sums = (pixels[near_rows, near_columns] * weights[..., None]).sum(axis=1)  # [E, 3]
    colors = sums / np.maximum(num_core, 1)[:, None]  # the object's, a little further in
    direction = colors - background  # [E, 3]
    length_sq = np.square(direction).sum(axis=1)
    shares = ((pixels[rows, columns] - background) * direction).sum(axis=1) / np.maximum(length_sq, 1e-6)
    is_mixed = (num_core > 0) & (length_sq > (2 * tolerance) ** 2)
    is_faint = _distances(pixels[rows, columns], background) <= 2 * tolerance
    is_crumb = (num_core == 0) & is_faint  # what a thin part that faded away left
    alpha = inside.astype(np.float32)
    alpha[rows, columns] = np.where(is_mixed, np.clip(shares, 0, 1), ~is_crumb)
    return alpha


def _erode(mask: np.ndarray) -> np.ndarray:
    """Return the pixels of a mask [H, W] whose eight neighbours are in it or beyond the image."""
    padded = np.pad(mask, 1, constant_values=True)
    narrow = padded[:, :-2] & padded[:, 1:-1] & padded[:, 2:]  # [H + 2, W]
    return narrow[:-2] & narrow[1:-1] & narrow[2:]
