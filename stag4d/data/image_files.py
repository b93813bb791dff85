"""Decode image files of the formats that are allowed, after checking the size that they declare."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from ..regular_file import check_regular_file
from .decoding import RefusedError, check_image_size, check_total_pixels, errors_naming
from .png_rows import check_png_rows, is_png

# Pillow would also open formats that run other programs, such as EPS with Ghostscript.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF")
_BIT_DEPTH_OFFSET = 24  # in IHDR, after signature 8, chunk length 4, name 4, width 4, height 4 bytes
_START_OF_SCAN = b"\xff\xda"  # of JPEG
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


@contextmanager
def open_image(path: Path, is_checked: bool = True) -> Iterator[tuple[Image.Image, bytes]]:
    """Open an image file; while it is open, errors of decoders become errors that name it.

    Args:
        path: The file.
        is_checked: Whether to check first that the file is whole, as far as its format allows.

    Yields:
        The image, not decoded yet, and the content of the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no image, damaged or truncated, or declares an image that is too large for
            its size.
    """
    check_regular_file(path, str(path), "an image file")
    with errors_naming(path, "a whole image file"):
        content = path.read_bytes()
        if is_checked and is_png(content):
            _check_png(content)
        with _opened(content) as image:
            if is_checked and image.format in ("JPEG", "MPO"):
                _check_jpeg(content, image.width * image.height)
            yield image, content


def read_pixels(path: Path) -> np.ndarray:
    """Decode an image file.

    Args:
        path: The file.

    Returns:
        Upright pixels [H, W, 1 to 4]: gray, gray and alpha, RGB or RGBA; uint8, or uint16 from 16-bit files.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: as for ``open_image``.
    """
    with open_image(path) as (image, content):
        if is_png(content) and content[_BIT_DEPTH_OFFSET] == 16:
            return upright(image, _decode_16_bits(content))
        image.load()  # rotates a TIFF by itself and removes its orientation tag
        if image.mode.startswith("I;16"):
            return upright(image, np.asarray(image).astype(np.uint16)[..., None])
        return upright(image, pixels_8_bits(image, "RGBA" if image.has_transparency_data else "RGB"))


def is_readable(image_format: str) -> bool:
    """Return whether the installed Pillow reads a format, such as ``AVIF``."""
    Image.init()
    return image_format in Image.OPEN


def pixels_8_bits(image: Image.Image, mode: str) -> np.ndarray:
    """Convert a decoded image to RGB or RGBA.

    Args:
        image: The image.
        mode: ``RGB`` or ``RGBA``.

    Returns:
        uint8 [H, W, 3 or 4].

    Raises:
        ValueError: if the image has more than 16 bits a channel, of which the range is unknown.
    """
    if image.mode in ("I", "F"):
        raise RefusedError("has 32 bits a channel; expected at most 16")
    return np.asarray(image if image.mode == mode else image.convert(mode))


def upright(image: Image.Image, pixels: np.ndarray) -> np.ndarray:
    """Return pixels [H, W, D] rotated by the EXIF orientation of their image."""
    return _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1), np.asarray)(pixels)


def _opened(content: bytes) -> Image.Image:
    """Return the image of a file, not decoded yet, after checking its size."""
    formats = [name for name in _FORMATS if is_readable(name)]
    try:
        image = Image.open(io.BytesIO(content), formats=formats)
    except UnidentifiedImageError:
        raise ValueError(f"none of {', '.join(formats)}") from None
    check_image_size(*image.size, len(content))
    return image


def _check_png(content: bytes) -> None:
    """Raise an error of a decoder if a PNG file is not whole: decoding accepts some truncated files."""
    with _opened(content) as image:
        image.verify()  # checksums and the end of the file
    check_png_rows(content)


def _check_jpeg(content: bytes, num_pixels: int) -> None:
    """Raise ValueError if rows of a JPEG file are missing or damaged, which Pillow would leave gray.

    Args:
        content: The file.
        num_pixels: Width times height.
    """
    check_total_pixels(content.count(_START_OF_SCAN) * num_pixels, len(content), is_animation=True)
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.options = {"err_detect": "explode"}
    try:
        decoder.decode(av.Packet(content))
    except av.error.InvalidDataError:
        raise ValueError("missing or damaged rows") from None
    except av.FFmpegError:
        pass  # a kind of JPEG that Pillow decodes and FFmpeg does not


def _decode_16_bits(content: bytes) -> np.ndarray:
    """Return the uint16 pixels [H, W, 1 to 4] of a 16-bit PNG, decoded by FFmpeg.

    Pillow reduces 16-bit color to 8 bits and clips 16-bit gray on conversion.
    """
    with av.open(io.BytesIO(content), mode="r", format="png_pipe") as container:
        frame = next(container.decode(video=0), None)
    channels = _CHANNELS_16.get(frame.format.name) if frame is not None else None
    if frame is None or channels is None:
        raise ValueError("no 16-bit pixels")
    plane = frame.planes[0]
    rows = np.frombuffer(bytes(plane), dtype=">u2").reshape(frame.height, -1)  # FFmpeg pads rows
    rows = rows[:, : frame.width * channels].astype(np.uint16)
    return rows.reshape(frame.height, frame.width, channels)
