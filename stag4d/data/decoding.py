"""Limits of what image and video files may declare, and errors of their decoders that name the file.

A small file can declare an image of any size. Sizes are compared with limits that grow with the file before
memory is allocated for them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from PIL import Image

_MIN_IMAGE_PIXELS = 50_000_000  # allowed in any file: a mask of one color compresses to nearly nothing
_IMAGE_PIXELS_PER_BYTE = 64  # of larger images; photos have 1 to 20
_MIN_VIDEO_PIXELS = 1 << 30  # of all frames of a video: 500 of 1080p
_MIN_ANIMATION_PIXELS = 1 << 28  # of all frames of an animation, which decodes several times slower
_VIDEO_PIXELS_PER_BYTE = 4096
_MIN_RESULT_BYTES = 1 << 28  # 32 RGBA frames of 1080p
_RESULT_BYTES_PER_BYTE = 1000

# What Pillow, PyAV and zlib raise on damaged files.
_DECODER_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,  # where warnings are errors
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    av.FFmpegError,
)


class NamedError(ValueError):
    """An error whose message already names the file."""


class RefusedError(ValueError):
    """An error about what a readable file contains; its message does not name the file."""


@contextmanager
def errors_naming(path: Path, expected: str) -> Iterator[None]:
    """Turn errors of decoders into a ValueError that names the file.

    Args:
        path: The file.
        expected: What was expected, for the message.

    Raises:
        ValueError: instead of any error of a decoder.
    """
    try:
        yield
    except NamedError:
        raise
    except RefusedError as error:
        raise NamedError(f"{path}: {error}.") from error
    except _DECODER_ERRORS as error:
        reason = str(error) or type(error).__name__
        raise NamedError(f"{path}: unreadable or cut short ({reason}); expected {expected}.") from error


def max_image_pixels(file_size: int) -> int:
    """Return the largest number of pixels that an image in a file of ``file_size`` bytes may have."""
    return max(_MIN_IMAGE_PIXELS, _IMAGE_PIXELS_PER_BYTE * file_size)


def check_image_size(width: int, height: int, file_size: int) -> None:
    """Raise RefusedError if an image is too large for its file.

    Args:
        width: Declared width, pixels.
        height: Declared height, pixels.
        file_size: Size of the file, bytes.
    """
    if width < 1 or height < 1 or width * height > max_image_pixels(file_size):
        raise RefusedError(
            f"declares {width}x{height} pixels; expected at least one and at most "
            f"{max_image_pixels(file_size)} in a file of {file_size} bytes"
        )


def check_total_pixels(total: int, file_size: int, is_animation: bool = False) -> None:
    """Raise RefusedError if all frames of a video together are too large for its file.

    Args:
        total: Number of pixels of all frames, or of all scans of an image.
        file_size: Size of the file, bytes.
        is_animation: Whether Pillow decodes the file, which is slower.
    """
    minimum = _MIN_ANIMATION_PIXELS if is_animation else _MIN_VIDEO_PIXELS
    allowed = max(minimum, _VIDEO_PIXELS_PER_BYTE * file_size)
    if total > allowed:
        raise RefusedError(
            f"has {total} pixels or more in all frames; expected at most {allowed} in a file of "
            f"{file_size} bytes"
        )


def max_result_bytes(source_size: int) -> int:
    """Return how much memory the kept frames of a video in files of ``source_size`` bytes may need."""
    return max(_MIN_RESULT_BYTES, _RESULT_BYTES_PER_BYTE * source_size)


def check_result_size(path: Path, num_frames: int, frame_bytes: int, source_size: int) -> None:
    """Raise ValueError if the kept frames of a video need too much memory for the size of its files.

    Args:
        path: The video, for the message.
        num_frames: Number of frames to keep.
        frame_bytes: Size of a decoded frame, bytes.
        source_size: Size of the files, bytes.
    """
    needed, allowed = num_frames * frame_bytes, max_result_bytes(source_size)
    if needed > allowed:
        raise NamedError(
            f"{path}: {num_frames} frames need {needed / 1e6:.0f} MB; expected at most "
            f"{allowed / 1e6:.0f} MB for files of {source_size} bytes; keep fewer frames."
        )
