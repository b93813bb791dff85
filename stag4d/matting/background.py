"""Alpha of an object in front of a plain background, from the color of the image's border."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .bars import content_inside_bars
from .components import connected_to_border, drop_specks, erode
from .holes import find_holes
from .shadows import with_soft_shadows
from .surface import background_of, border_pixels, color_distances, median_color


def alpha_from_border(image: Tensor) -> Tensor:
    """Return the alpha of the object in front of a plain background.

    1. Bars of a letterboxed or pillarboxed video are left out (``content_inside_bars``).
    2. The background is the median color of the border pixels, the outermost ones of the image, or a smooth
       surface where the color changes gradually along the border (``background_of``).
    3. Pixels of that color that are connected to the border are background, and so are soft shadows
       (``with_soft_shadows``) and holes of the object (``find_holes``). All others are object; an eye or a
       shirt of the background color stays opaque where it differs from a hole.
    4. Components smaller than a hundredth of the largest are dropped, and so are thin parts that hardly
       differ from the background.

    Alpha is 1 inside the object. In its outermost pixels it is the position of their color on the line from
    the background color (0) to the mean color of nearby inner pixels (1).

    Args:
        image: [H, W, 3], 0..1, at least 3 pixels on a side.

    Returns:
        Alpha [H, W], float32 0..1; all zeros when there is nothing but background.

    Raises:
        ValueError: if the image has another shape, or its border is neither of one color nor smooth.
    """
    return matte_from_border(image)[0]


def matte_from_border(image: Tensor, *, is_generated: bool = False) -> tuple[Tensor, Tensor]:
    """Return the alpha [H, W] as ``alpha_from_border`` does, and the background's color, [3] or [H, W, 3].

    Args:
        image: [H, W, 3], 0..1, at least 3 pixels on a side.
        is_generated: Whether a multi-view model generated the image: its background is of one color, without
            bars and shadows.

    Raises:
        ValueError: see ``alpha_from_border``.
    """
    if image.ndim != 3 or image.shape[-1] != 3 or min(image.shape[:2]) < 3:
        raise ValueError(
            f"plain background: image of shape {list(image.shape)}; expected [H, W, 3], 3 pixels or more."
        )
    pixels = image.detach().cpu().float().numpy()  # [H, W, 3]
    content = None if is_generated else content_inside_bars(pixels)
    if content is not None:
        inner, background = _matte(pixels[content], is_generated)
        if inner.any():
            alpha = np.zeros(pixels.shape[:2], np.float32)
            alpha[content] = inner
            if background.ndim > 1:
                inside, background = background, pixels.copy()
                background[content] = inside
            return torch.from_numpy(alpha).to(image.device), torch.from_numpy(background).to(image)
    alpha, background = _matte(pixels, is_generated)  # what looked like content is the object
    return torch.from_numpy(alpha).to(image.device), torch.from_numpy(background).to(image)


def border_color(image: Tensor) -> Tensor:
    """Return the median color [3] of the border pixels of an image [H, W, 3]."""
    return torch.from_numpy(median_color(border_pixels(image.detach().cpu().float().numpy()))).to(image)


def _matte(pixels: np.ndarray, is_generated: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the alpha [H, W] of an image [H, W, 3] without bars, and its background, [3] or [H, W, 3]."""
    background, tolerance = background_of(pixels, may_vary=not is_generated)
    distances = color_distances(pixels, background)
    outside = connected_to_border(distances <= tolerance)
    shadowed = None if is_generated else with_soft_shadows(pixels, background, outside, tolerance)
    if shadowed is not None:
        background, outside = shadowed
        distances = color_distances(pixels, background)
    outside = outside | find_holes(pixels - background, outside, tolerance)
    inside = drop_specks(~outside)
    return _soften_edge(pixels, background, inside, tolerance), background


def _soften_edge(
    pixels: np.ndarray, background: np.ndarray, inside: np.ndarray, tolerance: float
) -> np.ndarray:
    """Return alpha [H, W]: 0 outside a mask, 1 inside, and on its edge the object's share of the pixel color.

    An edge pixel mixes colors, ``pixel = alpha object + (1 - alpha) background``. The object's color there is
    estimated as the mean of the inner pixels in a 5 x 5 window, and alpha is the least-squares solution, the
    projection ``(pixel - background) . d / |d|^2`` with ``d = object - background``. Without inner pixels
    near, as in thin parts, alpha is 1, or 0 if the pixel hardly differs from the background.
    """
    core = erode(inside)
    rows, columns = np.nonzero(inside & ~core)  # [E] edge pixels
    steps = np.arange(-2, 3)  # the window, clipped to the image
    near_rows = np.clip(rows[:, None] + np.repeat(steps, 5), 0, inside.shape[0] - 1)  # [E, 25]
    near_columns = np.clip(columns[:, None] + np.tile(steps, 5), 0, inside.shape[1] - 1)
    weights = core[near_rows, near_columns].astype(np.float32)  # [E, 25]
    num_core = weights.sum(axis=1)  # [E]
    sums = (pixels[near_rows, near_columns] * weights[..., None]).sum(axis=1)  # [E, 3]
    colors = sums / np.maximum(num_core, 1)[:, None]  # the object's
    behind = background if background.ndim == 1 else background[rows, columns]  # [3] or [E, 3]
    direction = colors - behind  # [E, 3]
    length_sq = np.square(direction).sum(axis=1)
    shares = ((pixels[rows, columns] - behind) * direction).sum(axis=1) / np.maximum(length_sq, 1e-6)
    # Where object and background are nearly of one color the projection is all noise: alpha stays 1.
    is_mixed = (num_core > 0) & (length_sq > (2 * tolerance) ** 2)
    is_faint = color_distances(pixels[rows, columns], behind) <= 2 * tolerance
    is_residue = (num_core == 0) & is_faint  # of a thin part, most of which is below the tolerance
    alpha = inside.astype(np.float32)
    alpha[rows, columns] = np.where(is_mixed, np.clip(shares, 0, 1), ~is_residue)
    return alpha
