"""Read image files and write PNG: colors as decoded (sRGB), straight alpha in a separate array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..atomic import replacing
from .decoding import errors_naming
from .image_files import read_pixels


def read_image(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Read a PNG (gray, palette or color, with or without alpha, up to 16 bits) or another image file.

    JPEG, WebP, BMP, TIFF, GIF and, if Pillow supports it, AVIF are read at 8 bits a channel, and gray TIFF at
    up to 16. Of an animation the first frame is read.

    Args:
        path: The file.

    Returns:
        Straight colors [H, W, 3] and alpha [H, W], float32 0..1, rotated upright by the EXIF orientation;
        alpha is None when the file has none.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no image, damaged or truncated, or declares an image that is too large for
            its size.
    """
    pixels = read_pixels(path)  # [H, W, 1 to 4]
    with errors_naming(path, "an image that fits in memory"):
        floats = pixels.astype(np.float32)
        floats /= np.iinfo(pixels.dtype).max
        return _split_channels(floats)


def write_png(path: Path, colors: np.ndarray, alpha: np.ndarray) -> None:
    """Write an 8-bit RGBA PNG with straight alpha; an error leaves no partial file.

    Args:
        path: The file; its folder is made when it does not exist.
        colors: [H, W, 3] floats; clipped to 0..1.
        alpha: [H, W] floats; clipped to 0..1.

    Raises:
        RuntimeError: if the file cannot be written.
    """
    pixels = np.concatenate([colors, alpha[..., None]], axis=-1)  # [H, W, 4]
    quantized = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    with replacing(path) as temporary:
        Image.fromarray(quantized, "RGBA").save(temporary, format="PNG", compress_level=4)


def _split_channels(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Split gray, gray-alpha, RGB or RGBA pixels [H, W, D] into colors [H, W, 3] and alpha [H, W] or None."""
    channels = pixels.shape[-1]
    has_alpha = channels in (2, 4)
    colors = pixels[..., : channels - has_alpha]
    colors = np.repeat(colors, 3, axis=-1) if colors.shape[-1] == 1 else colors
    return colors, (pixels[..., -1] if has_alpha else None)
