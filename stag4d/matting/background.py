"""Alpha of an object in front of a plain background, from the color of the image's border."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# Chosen by us for 8-bit images that may have been through JPEG or a video codec.
_MIN_TOLERANCE = 8 / 255  # color distance up to which a pixel is background, on a border without noise
_MAX_TOLERANCE = 24 / 255  # the same on the noisiest border
_NOISE_FACTOR = 4.0  # tolerance over the median color distance of the border pixels
_PLAIN_SHARE = 0.7  # of the border pixels must be background; the object may touch the others
_SPECK_SHARE = 0.01  # of the largest component's area; smaller components are noise


def alpha_from_border(image: Tensor) -> Tensor:
    """Return the alpha of the object in front of a plain background.

    The background color is the median of the border pixels, the outermost ones of the image. Pixels of that
    color that are connected to the border are background, all others object. So an eye or a shirt of the
    background color stays opaque, and so does a hole in the object through which the background is seen.
    Components smaller than a hundredth of the largest are dropped, and so are thin parts that hardly differ
    from the background. Alpha is 1 inside the object. In its outermost pixels it is the position of their
    color on the line from the background color (0) to the mean color of nearby inner pixels (1).

    Args:
        image: [H, W, 3], 0..1, at least 3 pixels on a side.

    Returns:
        Alpha [H, W], float32 0..1; all zeros when there is nothing but background.

    Raises:
        ValueError: if the image has another shape, or its border is not of one color.
    """
    if image.ndim != 3 or image.shape[-1] != 3 or min(image.shape[:2]) < 3:
        raise ValueError(
            f"plain background: image of shape {list(image.shape)}; expected [H, W, 3], 3 pixels or more."
        )
    pixels = image.detach().cpu().float().numpy()  # [H, W, 3]
    background, tolerance = _background_color(pixels)
    outside = _connected_to_border(_distances(pixels, background) <= tolerance)
    inside = _drop_specks(~outside)
    return torch.from_numpy(_soften_edge(pixels, background, inside, tolerance)).to(image.device)


def border_color(image: Tensor) -> Tensor:
    """Return the median color [3] of the border pixels of an image [H, W, 3]."""
    return torch.from_numpy(_median_color(_border_pixels(image.detach().cpu().float().numpy()))).to(image)


def _border_pixels(pixels: np.ndarray) -> np.ndarray:
    """Return the outermost pixels of an image [H, W, 3], each once, [2 (H + W) - 4, 3]."""
    return np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])


def _median_color(colors: np.ndarray) -> np.ndarray:
    """Return the median [3] of each channel of colors [N, 3]; outliers do not move it."""
    return np.median(colors, axis=0)


def _distances(colors: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return the largest absolute difference over the channels of colors [..., 3], [...]."""
    differences = np.abs(colors - background)  # np.maximum below is several times faster than max(axis=-1)
    return np.maximum(np.maximum(differences[..., 0], differences[..., 1]), differences[..., 2])


def _background_color(pixels: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the background color [3] and the tolerance around it; raises ValueError if it is not plain."""
    border = _border_pixels(pixels)
    background = _median_color(border)
    deviations = _distances(border, background)
    noise = float(np.median(deviations))  # the median, since part of the border may be object
    tolerance = min(max(_NOISE_FACTOR * noise, _MIN_TOLERANCE), _MAX_TOLERANCE)
    share = float(np.mean(deviations <= tolerance))
    if share < _PLAIN_SHARE:
        raise ValueError(
            f"plain background: {share:.0%} of the border has one color; expected at least "
            f"{_PLAIN_SHARE:.0%}, or an image with alpha."
        )
    return background, tolerance


def _connected_to_border(mask: np.ndarray) -> np.ndarray:
    """Return the components of a mask [H, W] that touch the image border, bool [H, W]."""
    labels = label_components(mask)
    on_border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    is_connected = np.zeros(labels.max() + 1, dtype=bool)
    is_connected[on_border] = True
    is_connected[0] = False  # label 0 is outside the mask
    return is_connected[labels]


def _drop_specks(mask: np.ndarray) -> np.ndarray:
    """Return a mask [H, W] without components much smaller than the largest, bool [H, W]."""
    labels = label_components(mask)
    areas = np.bincount(labels.ravel())
    areas[0] = 0  # label 0 is outside the mask
    is_kept = areas >= max(_SPECK_SHARE * areas.max(), 1)
    return is_kept[labels]


def label_components(mask: np.ndarray) -> np.ndarray:
    """Label the 4-connected components of a mask.

    Horizontal runs of pixels are joined with union-find where they touch between rows, so that Python loops
    over pairs of runs and not over pixels.

    Args:
        mask: [H, W] bool.

    Returns:
        Int64 [H, W]: 0 outside the mask, components from 1 in the order of their first pixel, row by row.
    """
    starts = mask & ~np.pad(mask, ((0, 0), (1, 0)))[:, :-1]  # first pixels of the runs
    run_of_pixel = np.cumsum(starts).reshape(mask.shape) - 1  # [H, W], valid inside the mask
    touches = mask[:-1] & mask[1:]
    # Keep one pixel of each pair of touching runs: the first column that both cover.
    touches[:, 1:] &= starts[:-1, 1:] | starts[1:, 1:] | ~touches[:, :-1]
    parents = list(range(int(starts.sum())))

    def root(run: int) -> int:
        while parents[run] != run:
            parents[run] = parents[parents[run]]  # path halving
            run = parents[run]
        return run

    pairs = np.stack([run_of_pixel[:-1][touches], run_of_pixel[1:][touches]], axis=1)  # [P, 2] above, below
    for above, below in pairs.tolist():
        first, second = sorted((root(above), root(below)))
        parents[second] = first  # the earlier run is the root, which orders the labels
    roots = np.array([root(run) for run in range(len(parents))], dtype=np.int64)
    label_of_run = np.unique(roots, return_inverse=True)[1] + 1
    labels = np.zeros(mask.shape, dtype=np.int64)
    labels[mask] = label_of_run[run_of_pixel[mask]]
    return labels


def _soften_edge(
    pixels: np.ndarray, background: np.ndarray, inside: np.ndarray, tolerance: float
) -> np.ndarray:
    """Return alpha [H, W]: 0 outside a mask, 1 inside, and on its edge the object's share of the pixel color.

    An edge pixel mixes colors, ``pixel = alpha object + (1 - alpha) background``. The object's color there is
    estimated as the mean of the inner pixels in a 5 x 5 window, and alpha is the least-squares solution, the
    projection ``(pixel - background) . d / |d|^2`` with ``d = object - background``. Without inner pixels
    near, as in thin parts, alpha is 1, or 0 if the pixel hardly differs from the background.
    """
    core = _erode(inside)
    rows, columns = np.nonzero(inside & ~core)  # [E] edge pixels
    steps = np.arange(-2, 3)  # the window, clipped to the image
    near_rows = np.clip(rows[:, None] + np.repeat(steps, 5), 0, inside.shape[0] - 1)  # [E, 25]
    near_columns = np.clip(columns[:, None] + np.tile(steps, 5), 0, inside.shape[1] - 1)
    weights = core[near_rows, near_columns].astype(np.float32)  # [E, 25]
    num_core = weights.sum(axis=1)  # [E]
    sums = (pixels[near_rows, near_columns] * weights[..., None]).sum(axis=1)  # [E, 3]
    colors = sums / np.maximum(num_core, 1)[:, None]  # the object's
    direction = colors - background  # [E, 3]
    length_sq = np.square(direction).sum(axis=1)
    shares = ((pixels[rows, columns] - background) * direction).sum(axis=1) / np.maximum(length_sq, 1e-6)
    # Where object and background are nearly of one color the projection is all noise: alpha stays 1.
    is_mixed = (num_core > 0) & (length_sq > (2 * tolerance) ** 2)
    is_faint = _distances(pixels[rows, columns], background) <= 2 * tolerance
    is_residue = (num_core == 0) & is_faint  # of a thin part, most of which is below the tolerance
    alpha = inside.astype(np.float32)
    alpha[rows, columns] = np.where(is_mixed, np.clip(shares, 0, 1), ~is_residue)
    return alpha


def _erode(mask: np.ndarray) -> np.ndarray:
    """Return the pixels of a mask [H, W] whose eight neighbors are in it or beyond the image."""
    padded = np.pad(mask, 1, constant_values=True)
    narrow = padded[:, :-2] & padded[:, 1:-1] & padded[:, 2:]  # [H + 2, W]
    return narrow[:-2] & narrow[1:-1] & narrow[2:]
