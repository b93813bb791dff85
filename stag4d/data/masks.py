"""Read masks as alpha: images or videos in which the object is white, or transparent around the object."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .decoding import NamedError

_MAX_CHANNEL_DIFFERENCE = 24  # of 255, between the channels of a gray image after lossy compression


def has_transparency(pixels: np.ndarray) -> bool:
    """Return whether pixels [H, W, D] have an alpha channel that is not opaque throughout."""
    return pixels.shape[-1] in (2, 4) and bool(pixels[..., -1].min() < np.iinfo(pixels.dtype).max)


def mask_alpha(name: str, pixels: np.ndarray) -> np.ndarray:
    """Return the alpha of a mask: its alpha channel unless that is opaque throughout, else its gray level.

    Of label maps, which are black and one color, or the values 0 and 1, all but black is the object.

    Args:
        name: Name of the mask for messages.
        pixels: uint8 [H, W, 3 or 4].

    Returns:
        uint8 [H, W], 255 on the object.

    Raises:
        ValueError: if the mask is opaque and has several colors.
    """
    if has_transparency(pixels):
        return pixels[..., 3]
    colors = pixels[..., :3].astype(np.int32)
    is_gray = (colors.max(axis=-1) - colors.min(axis=-1)).max() <= _MAX_CHANNEL_DIFFERENCE
    if is_gray and colors.max() != 1:
        return pixels[..., 1]
    labels = colors @ np.array([1 << 16, 1 << 8, 1])
    if labels.min() > 0 or len(np.unique(labels)) > 2:
        raise NamedError(f"{name}: has colors and no alpha; expected a gray mask, or transparency.")
    return np.where(labels > 0, 255, 0).astype(np.uint8)


def with_alpha(
    images: Iterator[tuple[str, np.ndarray]], masks: Iterator[tuple[str, np.ndarray]]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield images with the alpha of their masks, uint8 [H, W, 4].

    Args:
        images: Names and pixels, uint8 [H, W, 3 or 4]; an alpha of their own is replaced.
        masks: Names and pixels of as many masks.

    Raises:
        ValueError: if a mask has another size than its image, or is no mask.
    """
    for (name, pixels), (mask_name, mask) in zip(images, masks, strict=True):
        if mask.shape[:2] != pixels.shape[:2]:
            raise NamedError(
                f"{mask_name}: {mask.shape[1]}x{mask.shape[0]} pixels; expected "
                f"{pixels.shape[1]}x{pixels.shape[0]}, as {name} has."
            )
        yield name, np.dstack([pixels[..., :3], mask_alpha(mask_name, mask)])
