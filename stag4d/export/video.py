"""MP4 clips: H.264 where the installed FFmpeg has it, MPEG-4 part 2 where not."""

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
_OPTIONS = {_H264: {"crf": "17", "preset": "medium"}, _FALLBACK: {"qscale": "2"}}  # hardly visible losses
_BT709 = 1  # FFmpeg's number for it, as matrix, primaries and transfer alike


def write_mp4(path: str | Path, frames: Iterable[Tensor | np.ndarray], fps: float) -> None:
    """Write a clip that plays in browsers (yuv420p, index in front).

    Args:
        path: The file; its folder is made when it does not exist.
        frames: Pictures [H, W, 3] of one size, uint8 or floats 0..1. An odd width or height is made even by
            repeating the last column or row.
        fps: Frames a second, 0.01 to 1000.

    Raises:
        ValueError: if there are no frames, they differ in size, or fps is out of range.
        RuntimeError: if the file cannot be written.
    """
    path = Path(path)
    if not 0.01 <= fps <= 1000:
        raise ValueError(f"{path}: {fps} frames a second; expected 0.01 to 1000.")
    pictures = _checked(path, frames)
    first = next(pictures, None)
    if first is None:
        raise ValueError(f"{path}: no frames to write; expected one or more.")
    codec = _encoder()
    try:
        with replacing(path) as temporary:
            _encode(temporary, codec, itertools.chain([first], pictures), first.shape, fps)
    except av.FFmpegError as error:
        raise RuntimeError(f"{path}: {codec} failed ({error}); check the folder and its space.") from error


def _checked(path: Path, frames: Iterable[Tensor | np.ndarray]) -> Iterator[np.ndarray]:
    """Yield pictures as uint8 of even size; raises ValueError where one is no picture or of another size."""
    size: tuple[int, ...] | None = None
    for index, frame in enumerate(frames):
        picture = frame.detach().cpu().numpy() if isinstance(frame, Tensor) else np.asarray(frame)
        if picture.ndim != 3 or picture.shape[-1] != 3 or (size is not None and picture.shape != size):
            expected = "[H, W, 3]" if size is None else f"{list(size)}, as the first has"
            raise ValueError(f"{path}: frame {index} has shape {list(picture.shape)}; expected {expected}.")
        size = picture.shape
        if picture.dtype != np.uint8:
            if not np.isfinite(picture).all():
                raise ValueError(f"{path}: frame {index} is not finite everywhere; every pixel must be.")
            picture = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
        padding = ((0, picture.shape[0] % 2), (0, picture.shape[1] % 2), (0, 0))
        yield np.pad(picture, padding, mode="edge")


def _encoder() -> str:
    """Return the name of the encoder to use."""
    try:
        Codec(_H264, "w")
    except UnknownCodecError:
        _logger.warning("mp4: no encoder %s; clips are MPEG-4 part 2, which few browsers play.", _H264)
        return _FALLBACK
    return _H264


def _encode(
    path: Path, codec: str, pictures: Iterable[np.ndarray], shape: tuple[int, ...], fps: float
) -> None:
    """Encode uint8 pictures of even size into a file."""
    with av.open(str(path.absolute()), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream: Any = container.add_stream(codec, rate=Fraction(fps).limit_denominator(10_000))
        stream.height, stream.width = shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = dict(_OPTIONS[codec])
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = int(ColorRange.MPEG)
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
