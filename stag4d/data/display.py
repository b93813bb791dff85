"""Convert a decoded video frame to the pixels that a player shows: upright, square pixels, sRGB."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

from .decoding import RefusedError, check_image_size
from .resizing import resize_with_alpha
from .tone_mapping import TRANSFER_NAMES, UNSUPPORTED_TRANSFERS, needs_conversion, to_srgb

_LIMITED, _FULL, _UNSPECIFIED_RANGE = 1, 2, 0  # FFmpeg's AVColorRange
# Matrix coefficients of ITU-T H.273 and what swscale calls them. Unspecified is taken for BT.601, as FFmpeg
# and programs that encode with its defaults do.
_MATRICES = {0: 5, 1: 1, 2: 5, 3: 5, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
_DOLBY_VISION_TAGS = ("dvhe", "dvh1", "dvav", "dva1", "dav1")
_UNITY = 1 << 16  # of the fixed-point numbers of a display matrix
_SKEW_TOLERANCE = 0.01


@dataclass(frozen=True, kw_only=True)
class Presentation:
    """How the frames of a video are shown.

    Attributes:
        has_alpha: Whether pixels have alpha.
        aspect: Width of a pixel relative to its height; None if unknown.
        matrix: Display matrix for frames that have none of their own.
        file_size: Size of the file, bytes, which limits that of a frame.
    """

    has_alpha: bool
    aspect: Fraction | None
    matrix: bytes | None
    file_size: int

    def pixels(self, frame: av.VideoFrame, context: Any) -> np.ndarray:
        """Return the shown pixels of a frame.

        Args:
            frame: The decoded frame.
            context: Its codec context, for the transfer characteristics and primaries.

        Returns:
            uint8 [H, W, 3 or 4].

        Raises:
            ValueError: if colors are of a kind that is not supported, or rotation is not by right angles.
        """
        transfer, primaries = int(context.color_trc or 0), int(context.color_primaries or 0)
        _check_transfer(transfer, context.codec_tag)
        if needs_conversion(transfer, primaries):
            pixels = self._converted(frame, transfer, primaries)
        else:
            pixels = _rgb(frame, "rgba" if self.has_alpha else "rgb24")
        return _oriented(self._with_square_pixels(pixels), display_matrix(frame) or self.matrix)

    def _converted(self, frame: av.VideoFrame, transfer: int, primaries: int) -> np.ndarray:
        """Return the pixels of an HDR or wide-gamut frame, uint8 [H, W, 3 or 4]."""
        signal = _rgb(frame, "rgba64le")  # uint16 [H, W, 4]
        colors = to_srgb(signal[..., :3], transfer, primaries)
        if not self.has_alpha:
            return colors
        return np.concatenate([colors, np.rint(signal[..., 3:] / 257).astype(np.uint8)], axis=-1)

    def _with_square_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Enlarge the side along which pixels are longer than wide."""
        height, width = pixels.shape[:2]
        aspect = self.aspect if self.aspect and self.aspect > 0 else Fraction(1)
        target = (height, round(width * aspect)) if aspect > 1 else (round(height / aspect), width)
        if target == (height, width):
            return pixels
        check_image_size(target[1], target[0], self.file_size)
        floats = pixels.astype(np.float32) / 255
        alpha = floats[..., 3] if self.has_alpha else np.ones((height, width), np.float32)
        colors, alpha = resize_with_alpha(floats[..., :3], alpha, target)
        resized = np.concatenate([colors, alpha[..., None]], axis=-1) if self.has_alpha else colors
        return np.rint(resized * 255).astype(np.uint8)


def _check_transfer(transfer: int, codec_tag: str) -> None:
    """Raise RefusedError if colors would be wrong without an error."""
    if transfer in UNSUPPORTED_TRANSFERS:
        name = UNSUPPORTED_TRANSFERS[transfer]
        raise RefusedError(f"has transfer characteristics {name}; expected SDR, HLG or PQ")
    if codec_tag in _DOLBY_VISION_TAGS and transfer not in TRANSFER_NAMES:
        raise RefusedError("is Dolby Vision without an HLG or PQ base layer; expected SDR, HLG or PQ")


def display_matrix(frame: av.VideoFrame) -> bytes | None:
    """Return the display matrix of a frame, nine 32-bit integers, or None."""
    try:
        data: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # side data of a kind that this PyAV does not know
        return None
    return None if data is None else bytes(data)


def _rgb(frame: av.VideoFrame, pixel_format: str) -> np.ndarray:
    """Return a frame as RGB or RGBA by its own color matrix and range."""
    matrix = _MATRICES.get(int(frame.colorspace))
    if matrix is None:
        code = int(frame.colorspace)
        raise RefusedError(f"has color matrix {code} of ITU-T H.273; expected BT.601, BT.709 or BT.2020")
    is_full = int(frame.color_range) == _FULL or frame.format.name.startswith("yuvj")
    converted = frame.reformat(
        format=pixel_format,
        src_colorspace=matrix,
        src_color_range=_FULL if is_full else _LIMITED,
        # Older PyAV ignores the matrix unless the two ranges differ.
        dst_color_range=_UNSPECIFIED_RANGE if is_full else _FULL,
    )
    return converted.to_ndarray()


def _oriented(pixels: np.ndarray, matrix: bytes | None) -> np.ndarray:
    """Rotate and mirror pixels [H, W, D] by a display matrix.

    The matrix maps the pixel (x, y) to (a x + c y, b x + d y), ISO 14496-12 section 6.2.2.
    """
    if matrix is None:
        return pixels
    a, b, _, c, d = (int(number) / _UNITY for number in np.frombuffer(matrix, np.int32)[:5])
    straight, crossed = abs(a) + abs(d), abs(b) + abs(c)
    if min(straight, crossed) > _SKEW_TOLERANCE * max(straight, crossed):
        raise RefusedError(f"has display matrix {a:g} {b:g} {c:g} {d:g}; expected rotation by right angles")
    if crossed > straight:
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    pixels = pixels[:, ::-1] if a < 0 else pixels
    return pixels[::-1] if d < 0 else pixels
