"""Read animations in image files: GIF, WebP, APNG, AVIF, and TIFF of several pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from ..progress import Monitor, silent
from ..types import DEFAULT_FPS
from .decoding import check_image_size, check_total_pixels
from .image_files import open_image, pixels_8_bits, upright

_ANIMATED_FORMATS = {"GIF", "WEBP", "PNG", "AVIF", "TIFF"}  # not JPEG, whose further images are previews
_NEW_SUBFILE_TYPE = 254  # of TIFF; bit 0 marks a reduced copy of another page
# Browsers play frames that have no duration, or at most this one, for a tenth of a second.
_MIN_DURATION_MS, _DEFAULT_DURATION_MS = 10, 100


def is_animated(path: Path) -> bool:
    """Return whether an image file has several frames.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no image or damaged.
    """
    with open_image(path, is_checked=False) as (image, _):
        return len(_frame_indices(image)) > 1


class Animation:
    """Frames of an animation, composited as they are shown.

    Attributes:
        times: When each frame is shown, seconds from the first.
        first_time: 0.
        time_base: 1 ms.
        fps: Frames a second.
        size_bytes: Size of the file.
    """

    first_time = 0.0
    time_base = Fraction(1, 1000)

    def __init__(self, path: Path, monitor: Monitor = silent) -> None:
        """Read the durations of the frames.

        Args:
            path: A file of which ``is_animated`` is true.
            monitor: Called after each frame that is decoded, now and by ``read``, of the stage ``read``.

        Raises:
            ValueError: if it is damaged, or its frames are too many or too large for its size.
        """
        self.path, self._monitor = path, monitor
        durations_ms = []
        with open_image(path) as (image, content):
            self.size_bytes = len(content)
            self._indices = _frame_indices(image)
            total = len(self._indices) * image.width * image.height
            check_total_pixels(total, len(content), is_animation=True)
            for _ in self._frames(image):
                durations_ms.append(_duration_ms(image))
        self.times = [float(time) / 1000 for time in np.cumsum([0.0, *durations_ms[:-1]])]
        self.fps = (len(self.times) - 1) / self.times[-1]

    def name(self, frame: int) -> str:
        """Return the name of a frame for messages."""
        return f"frame {frame} of {self.path.name}"

    def read(self, kept: Sequence[int]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the names and pixels, uint8 [H, W, 4], of frames in ascending order."""
        counts = np.bincount(np.asarray(kept, np.int64), minlength=len(self._indices))
        with open_image(self.path) as (image, _):
            for frame, _ in enumerate(self._frames(image)):
                if counts[frame]:
                    pixels = upright(image, pixels_8_bits(image, "RGBA"))
                for _ in range(counts[frame]):
                    yield f"frame {frame} of {self.path}", pixels
                if frame == kept[-1]:
                    return

    def _frames(self, image: Image.Image) -> Iterator[None]:
        """Decode one frame after the other."""
        for done, index in enumerate(self._indices, start=1):
            image.seek(index)
            check_image_size(*image.size, self.size_bytes)  # a frame of a GIF may enlarge it
            image.load()
            self._monitor("read", done, len(self._indices))
            yield


def _frame_indices(image: Image.Image) -> list[int]:
    """Return Pillow's indices of the frames that are shown."""
    count = getattr(image, "n_frames", 1) if image.format in _ANIMATED_FORMATS else 1
    if count > 1 and image.format == "TIFF":
        return [0, *(page for page in range(1, count) if not _is_reduced(image, page))]
    # The default image of an APNG that is no part of the animation is for programs that show stills only.
    return list(range(1 if count > 1 and getattr(image, "default_image", False) else 0, count))


def _is_reduced(image: Image.Image, page: int) -> bool:
    """Return whether a page of a TIFF is a reduced copy of another one."""
    image.seek(page)
    return bool(image.tag_v2.get(_NEW_SUBFILE_TYPE, 0) & 1)  # type: ignore[attr-defined]


def _duration_ms(image: Image.Image) -> float:
    """Return the duration of the current frame, milliseconds."""
    if image.format == "TIFF":
        return 1000 / DEFAULT_FPS
    duration_ms = float(image.info.get("duration", 0))
    return duration_ms if duration_ms > _MIN_DURATION_MS else _DEFAULT_DURATION_MS
