"""Decode video files with FFmpeg: when each frame is shown, and frames as a player shows them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition

from ..progress import Monitor, silent
from ..types import DEFAULT_FPS
from .decoding import NamedError, check_total_pixels, errors_naming, max_image_pixels
from .display import Presentation, display_matrix

_logger = logging.getLogger(__name__)

# Formats that hold their frames in one file. FFmpeg would also open playlists and scripts, which name other
# files and network addresses, and draw text files.
_FORMATS = (
    "asf,av1,avi,cavsvideo,dirac,dv,evc,flic,flv,gif,gxf,h261,h263,h264,hevc,ivf,live_flv,lxf,m4v,"
    "matroska,mjpeg,mjpeg_2000,mov,mpeg,mpegts,mpegvideo,mxf,nsv,nut,nuv,obu,ogg,rm,smjpeg,swf,ty,vc1,vc1test,"
    "vvc,wtv,yuv4mpegpipe,aac,ac3,aiff,amr,au,caf,flac,mp3,wav"  # from aac: to say that there is no video
)
_HEADER_FORMATS = ("mov", "matroska", "avi", "flv")  # FFmpeg estimates the duration of some others
_TIME_BASE = Fraction(1, 1_000_000)  # FFmpeg's own
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own decoders drop the alpha of WebM
_EXPECTED = "a video in a known format, or a folder of images"


class VideoFile:
    """Frames of a video file.

    Attributes:
        times: When each frame is shown, seconds from the first.
        first_time: When the first frame is shown by the clock of the file, seconds.
        time_base: Unit of that clock, seconds.
        fps: Frames a second by the file's header, or the default.
        size_bytes: Size of the file.
    """

    def __init__(self, path: Path, monitor: Monitor = silent) -> None:
        """Decode the file once for the times of its frames: headers are often wrong.

        Args:
            path: The file.
            monitor: Called after each frame that is decoded, now and by ``read``, of the stage ``read``.

        Raises:
            ValueError: if it is damaged, has no video, or its frames are too many or too large for its size.
        """
        self.path = path
        self.size_bytes = path.stat().st_size
        self._monitor = monitor
        self._has_alpha = False
        self._matrix: bytes | None = None
        stamps: list[float | None] = []
        with _opened(self.path, self.size_bytes) as (container, stream):
            average_rate, self.time_base = stream.average_rate, Fraction(stream.time_base or _TIME_BASE)
            for frame in self._decoded(container.decode(stream), stream.frames):
                if not stamps:
                    self._matrix = display_matrix(frame)
                stamps.append(_time(frame))
                self._has_alpha = self._has_alpha or _has_alpha(frame)
            self._has_alpha = self._has_alpha or _alpha_decoder(stream) is not None
            declared = _declared_duration(container)
        if not stamps:
            raise NamedError(f"{path}: has no frames; expected at least one.")
        self.fps = float(average_rate) if average_rate and average_rate > 0 else DEFAULT_FPS
        self.times = _ascending(stamps, self.fps)
        self.first_time = stamps[0] or 0.0
        if self.times[-1] + 2 / self.fps < 0.9 * declared:
            _logger.warning(
                "%s: frames end after %.4g of the %.4g s that its header declares; it may be cut short.",
                path,
                self.times[-1],
                declared,
            )

    def name(self, frame: int) -> str:
        """Return the name of a frame for messages."""
        return f"frame {frame} of {self.path.name}"

    def read(self, kept: Sequence[int]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the names and pixels, uint8 [H, W, 3 or 4], of frames in ascending order."""
        counts = np.bincount(np.asarray(kept, np.int64), minlength=len(self.times))
        with _opened(self.path, self.size_bytes) as (container, stream):
            context = _alpha_decoder(stream) or stream.codec_context
            frames = (frame for packet in container.demux(stream) for frame in context.decode(packet))
            presentation = Presentation(
                has_alpha=self._has_alpha,
                aspect=stream.sample_aspect_ratio,
                matrix=self._matrix,
                file_size=self.size_bytes,
            )
            for index, frame in enumerate(self._decoded(frames, kept[-1] + 1)):
                if index == kept[0] and frame.interlaced_frame:
                    _logger.warning(
                        "%s: is interlaced; deinterlace it for clean edges of moving parts.", self.path
                    )
                if counts[index]:
                    pixels = presentation.pixels(frame, context)
                for _ in range(counts[index]):
                    yield f"frame {index} of {self.path}", pixels
                if index == kept[-1]:
                    return
        raise NamedError(f"{self.path}: ended before frame {kept[-1]}; expected {len(self.times)} frames.")

    def _decoded(self, frames: Iterator[av.VideoFrame], count: int) -> Iterator[av.VideoFrame]:
        """Yield frames, about ``count`` (0: unknown), until they are too many pixels for the file."""
        total = 0
        for done, frame in enumerate(frames, start=1):
            total += frame.width * frame.height
            check_total_pixels(total, self.size_bytes)
            self._monitor("read", done, count if done <= count else done + 1)
            yield frame


def shown_size(path: Path) -> tuple[int, int]:
    """Return width and height of a video as it is shown, pixels, from its first frame.

    Raises:
        ValueError: if the file is damaged or has no video.
    """
    num_bytes = path.stat().st_size
    with _opened(path, num_bytes) as (container, stream):
        frame = next(container.decode(stream), None)
        if frame is None:
            raise NamedError(f"{path}: has no frames; expected at least one.")
        presentation = Presentation(
            has_alpha=False, aspect=stream.sample_aspect_ratio, matrix=None, file_size=num_bytes
        )
        height, width = presentation.pixels(frame, stream.codec_context).shape[:2]
    return width, height


@contextmanager
def _opened(path: Path, num_bytes: int) -> Iterator[tuple[Any, Any]]:
    """Open a file and its first video stream that is no cover image."""
    options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
    with errors_naming(path, _EXPECTED):
        with av.open(f"file:{path}", container_options=options, metadata_errors="ignore") as container:
            streams = [stream for stream in container.streams.video if not _is_cover(stream)]
            if not streams:
                raise NamedError(f"{path}: has no video; expected a video file or a folder of images.")
            if streams[0].codec_context is None:  # older PyAV would crash on decoding
                raise ValueError("no decoder for its codec")
            streams[0].codec_context.options = {"max_pixels": str(max_image_pixels(num_bytes))}
            yield container, streams[0]


def _is_cover(stream: Any) -> bool:
    """Return whether a video stream is an attached image, such as the cover of a song."""
    return bool(Disposition(stream.disposition) & Disposition.attached_pic)


def _declared_duration(container: Any) -> float:
    """Return the duration of the video by the file's header, seconds; 0 if it is unknown or that of sound."""
    has_header = any(name in _HEADER_FORMATS for name in container.format.name.split(","))
    if not has_header or container.duration is None or container.streams.audio:
        return 0.0
    return container.duration / av.time_base


def _has_alpha(frame: av.VideoFrame) -> bool:
    """Return whether the pixels of a frame have alpha, or a palette that may have it."""
    return frame.format.name == "pal8" or any(component.is_alpha for component in frame.format.components)


def _alpha_decoder(stream: Any) -> Any:
    """Return a decoder that reads the alpha of VP8 or VP9, or None where there is none to read."""
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    if name is None or tags.get("alpha_mode") != "1":
        return None
    context = av.CodecContext.create(name, "r")
    context.extradata = stream.codec_context.extradata
    context.options = dict(stream.codec_context.options)
    for attribute in ("color_range", "color_primaries", "color_trc", "colorspace"):
        setattr(context, attribute, getattr(stream.codec_context, attribute))
    return context


def _time(frame: av.VideoFrame) -> float | None:
    """Return when a frame is shown, seconds; AVI gives only the decoding time."""
    stamp = frame.dts if frame.pts is None else frame.pts
    return None if stamp is None or frame.time_base is None else float(stamp * frame.time_base)


def _ascending(stamps: list[float | None], fps: float) -> list[float]:
    """Return times from 0; those of a constant rate when some are missing or not ascending."""
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) < len(stamps) or any(later < earlier for earlier, later in pairwise(known)):
        return [index / fps for index in range(len(stamps))]
    return [stamp - known[0] for stamp in known]
