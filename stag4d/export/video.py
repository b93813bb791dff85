"""MP4 videos: H.264, or MPEG-4 Part 2 if the installed FFmpeg has no H.264 encoder."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.video.reformatter import ColorRange, Colorspace
from torch import Tensor

from ..atomic import replacing

_logger = logging.getLogger(__name__)

_H264 = "libx264"
_FALLBACK = "mpeg4"
_OPTIONS = {  # visually lossless
    # With several threads, x264's macroblock tree depends on their timing, other choices on their number.
    _H264: {"crf": "17", "preset": "medium", "threads": "1", "x264-params": "mbtree=0"},
    _FALLBACK: {"qscale": "2", "threads": "1"},
}
_FILE_OPTIONS = {
    "movflags": "+faststart",  # the index precedes the frames
    "fflags": "+bitexact",  # neither the time nor FFmpeg's version is written
}
_BT709 = 1  # FFmpeg's number of BT.709 as color matrix, primaries and transfer function


def write_mp4(path: str | Path, frames: Iterable[Tensor | np.ndarray], fps: float) -> None:
    """Write a video that browsers play (yuv420p, BT.709, index before the frames).

    The same frames give the same bytes, on any number of cores.

    Args:
        path: The file; its folder is made when it does not exist.
        frames: Images [H, W, 3] of one size, uint8 or floats clipped to 0..1. An odd width or height is made
            even by repeating the last column or row, as yuv420p requires.
        fps: Frames a second, 0.01 to 1000.

    Raises:
        ValueError: if there are no frames, they differ in size, one is not finite, or fps is out of range.
        RuntimeError: if the file cannot be written.
    """
    path = Path(path)
    if not 0.01 <= fps <= 1000:
        raise ValueError(f"{path}: {fps} frames a second; expected 0.01 to 1000.")
    images = _to_uint8(path, frames)
    first = next(images, None)
    if first is None:
        raise ValueError(f"{path}: no frames to write; expected one or more.")
    codec = _choose_codec()
    try:
        with replacing(path) as temporary:
            _encode(temporary, codec, itertools.chain([first], images), first.shape, fps)
    except av.FFmpegError as error:
        raise RuntimeError(f"{path}: {codec} failed ({error}); check the folder and its space.") from error


def _to_uint8(path: Path, frames: Iterable[Tensor | np.ndarray]) -> Iterator[np.ndarray]:
    """Yield frames as uint8 images of even size; raises ValueError at one of another shape."""
    size: tuple[int, ...] | None = None
    for index, frame in enumerate(frames):
        image = frame.detach().cpu().numpy() if isinstance(frame, Tensor) else np.asarray(frame)
        if image.ndim != 3 or image.shape[-1] != 3 or (size is not None and image.shape != size):
            expected = "[H, W, 3]" if size is None else f"{list(size)}, as the first has"
            raise ValueError(f"{path}: frame {index} has shape {list(image.shape)}; expected {expected}.")
        size = image.shape
        if image.dtype != np.uint8:
            if not np.isfinite(image).all():
                raise ValueError(f"{path}: frame {index} is not finite everywhere; every pixel must be.")
            image = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
        padding = ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0))
        yield np.pad(image, padding, mode="edge")


def _choose_codec() -> str:
    """Return the name of the best encoder that FFmpeg has."""
    try:
        Codec(_H264, "w")
    except UnknownCodecError:
        _logger.warning("mp4: no encoder %s; videos are MPEG-4 Part 2, which few browsers play.", _H264)
        return _FALLBACK
    return _H264


def _encode(path: Path, codec: str, images: Iterable[np.ndarray], shape: tuple[int, ...], fps: float) -> None:
    """Encode uint8 images of even size into a file."""
    with av.open(str(path.absolute()), "w", format="mp4", options=_FILE_OPTIONS) as container:
        stream: Any = container.add_stream(codec, rate=Fraction(fps).limit_denominator(10_000))
        stream.height, stream.width = shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = dict(_OPTIONS[codec])
        context = stream.codec_context
        # Without these tags players guess BT.601 or BT.709 by the size of the video, and colors shift.
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = int(ColorRange.MPEG)
        for image in images:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
