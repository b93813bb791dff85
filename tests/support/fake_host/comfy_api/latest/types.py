"""Values of ComfyUI's sockets, exported as ``Types``, ``Input`` and ``InputImpl``."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor


class SPLAT:
    """B splats: positions, scales, rotations [B, N, ...], opacities [B, N, 1], sh [B, N, K, 3], counts."""

    def __init__(
        self,
        positions: Tensor,
        scales: Tensor,
        rotations: Tensor,
        opacities: Tensor,
        sh: Tensor,
        counts: Tensor | None = None,
    ) -> None:
        self.positions, self.scales, self.rotations = positions, scales, rotations
        self.opacities, self.sh, self.counts = opacities, sh, counts


class File3D:
    """A 3D file, on disk or in memory."""

    def __init__(self, source: str | BytesIO, file_format: str = "") -> None:
        self._source, self.format = source, file_format

    def get_bytes(self) -> bytes:
        return Path(self._source).read_bytes() if isinstance(self._source, str) else self._source.getvalue()


@dataclass
class VideoComponents:
    """A decoded video: images [F, H, W, 3] and alpha [F, H, W, 1] or None."""

    images: Tensor
    frame_rate: Fraction
    alpha: Tensor | None = None


class VideoInput(ABC):
    """A video."""

    @abstractmethod
    def get_components(self) -> VideoComponents:
        """Decode the whole video."""

    def get_stream_source(self) -> str | BytesIO:
        """Encode the video, unless a class has a file; this host has no encoder."""
        raise NotImplementedError

    def get_active_trim_window(self) -> tuple[float, float]:
        """Return start and duration, seconds; a duration of 0 is until the end."""
        return 0.0, 0.0

    def get_dimensions(self) -> tuple[int, int]:
        """Return width and height."""
        height, width = self.get_components().images.shape[1:3]
        return width, height


class VideoFromFile(VideoInput):
    """A video file on disk or in memory; a negative start counts from its end."""

    def __init__(self, file: str | BytesIO, *, start_time: float = 0, duration: float = 0) -> None:
        self._file, self._start_time, self._duration = file, start_time, duration

    def get_stream_source(self) -> str | BytesIO:
        if isinstance(self._file, BytesIO):
            self._file.seek(0)
        return self._file

    def get_active_trim_window(self) -> tuple[float, float]:
        start = self._start_time
        if start < 0:
            with av.open(self.get_stream_source()) as container:
                start = max(container.duration / av.time_base + start, 0.0)
        return float(start), float(self._duration)

    def get_dimensions(self) -> tuple[int, int]:
        with av.open(self.get_stream_source()) as container:
            stream = container.streams.video[0]
            return stream.width, stream.height

    def get_components(self) -> VideoComponents:
        """Decode the frames within the trim, without alpha."""
        start, duration = self.get_active_trim_window()
        with av.open(self.get_stream_source()) as container:
            stream = container.streams.video[0]
            images = [
                frame.to_ndarray(format="rgb24")
                for frame in container.decode(stream)
                if start <= frame.time and not (duration and frame.time >= start + duration)
            ]
            return VideoComponents(
                torch.from_numpy(np.stack(images)).float() / 255, Fraction(stream.average_rate)
            )

    def as_trimmed(
        self, start_time: float = 0, duration: float = 0, strict_duration: bool = True
    ) -> "VideoFromFile":
        start = start_time + self._start_time
        return VideoFromFile(self.get_stream_source(), start_time=start, duration=duration)


class VideoFromComponents(VideoInput):
    """A batch of images."""

    def __init__(self, components: VideoComponents) -> None:
        self._components = components

    def get_components(self) -> VideoComponents:
        return self._components


class Input:
    """Types of values."""

    Video = VideoInput


class InputImpl:
    """Classes of values."""

    VideoFromFile = VideoFromFile
    VideoFromComponents = VideoFromComponents
