"""Read image files and write PNG: colors as decoded (sRGB), straight alpha in a separate array."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from ..atomic import replacing

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BIT_DEPTH_OFFSET = 24  # in IHDR, after signature 8, chunk length 4, name 4, width 4, height 4 bytes
_CHANNELS_16 = {"gray16be": 1, "ya16be": 2, "rgb48be": 3, "rgba64be": 4}  # FFmpeg's pixel formats
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # by EXIF orientation; 1 is upright
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),  # clockwise: the camera was held upright
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}


def read_image(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Read a PNG (gray, palette or color, with or without alpha, up to 16 bits) or another image file.

    JPEG, WebP, BMP, TIFF and the other formats of Pillow are read at 8 bits a channel.

    Args:
        path: The file.

    Returns:
        Straight colors [H, W, 3] and alpha [H, W], float32 0..1, rotated upright by the EXIF orientation;
        alpha is None when the file has none.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no image, damaged or truncated.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected an image file.")
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            image.verify()  # checksums and the end of the file; load() accepts some truncated files
        with Image.open(io.BytesIO(content)) as image:
            image.load()  # rotates a TIFF by itself and removes its orientation tag
            upright = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1), np.asarray)
            if content.startswith(_SIGNATURE) and content[_BIT_DEPTH_OFFSET] == 16:
                return _split_channels(upright(_decode_16_bits(content)).astype(np.float32) / 65535)
            has_alpha = image.has_transparency_data
            pixels = upright(np.asarray(image.convert("RGBA" if has_alpha else "RGB")))  # [H, W, 3 or 4]
    except (OSError, SyntaxError, ValueError, IndexError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path}: unreadable or cut short ({error}); expected a whole image file."
        ) from error
    return _split_channels(pixels.astype(np.float32) / 255)


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


def _decode_16_bits(content: bytes) -> np.ndarray:
    """Return the big-endian uint16 pixels [H, W, 1 to 4] of a 16-bit PNG, decoded by FFmpeg.

    Pillow reduces 16-bit color to 8 bits and clips 16-bit gray on conversion.
    """
    import av  # not needed for 8-bit files

    with av.open(io.BytesIO(content), mode="r", format="png_pipe") as container:
        frame = next(container.decode(video=0))
    channels = _CHANNELS_16.get(frame.format.name)
    if channels is None:
        raise ValueError(f"unexpected 16-bit pixel format {frame.format.name}")
    plane = frame.planes[0]
    rows = np.frombuffer(bytes(plane), dtype=">u2").reshape(frame.height, -1)  # FFmpeg pads rows
    return rows[:, : frame.width * channels].reshape(frame.height, frame.width, channels)


def _split_channels(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Split gray, gray-alpha, RGB or RGBA pixels [H, W, D] into colors [H, W, 3] and alpha [H, W] or None."""
    channels = pixels.shape[-1]
    has_alpha = channels in (2, 4)
    colors = pixels[..., : channels - has_alpha]
    colors = np.repeat(colors, 3, axis=-1) if colors.shape[-1] == 1 else colors
    return colors, (pixels[..., -1] if has_alpha else None)
