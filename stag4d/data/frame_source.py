"""Open what a video can be read from: a video file, an animation, an image, or a folder of images."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from ..progress import Monitor, silent
from ..regular_file import check_regular_file
from ..types import DEFAULT_FPS
from .animation import Animation, is_animated
from .decoding import NamedError
from .image_files import is_readable, read_pixels
from .image_folder import IMAGE_SUFFIXES, Frame, find_frames, find_masks
from .masks import has_transparency, mask_alpha
from .video_file import VideoFile

_logger = logging.getLogger(__name__)

_EXPECTED = "a video file or a folder of images"
_ANIMATION_SUFFIXES = {".gif", ".apng"}  # beside those of images, which may be animated too
_ANIMATION_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF")  # RIFF: WebP, but AVI too
_BRAND = slice(4, 12)  # of MP4 and related formats
_AVIF_ANIMATION = b"ftypavis"
_HEIF_BRANDS = {b"ftyp" + brand for brand in (b"heic", b"heix", b"heim", b"heis", b"mif1")}
_WEBP_NAME = slice(8, 12)


class FrameSource(Protocol):
    """Frames that can be read by their indices.

    Attributes:
        path: Where they are from.
        times: When each frame is shown, seconds from the first.
        first_time: When the first frame is shown by the clock of the file, seconds.
        time_base: Unit of that clock, seconds.
        fps: Frames a second.
        size_bytes: Size of the files.
    """

    path: Path
    times: list[float]
    first_time: float
    time_base: Fraction
    fps: float
    size_bytes: int

    def name(self, frame: int) -> str:
        """Return the name of a frame for messages."""

    def read(self, kept: Sequence[int]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the names and pixels, uint8 [H, W, 3 or 4], of frames in ascending order."""


class ImageSequence:
    """Image files, one for each frame, at the default rate; see ``FrameSource``."""

    first_time = 0.0
    time_base = 1 / Fraction(DEFAULT_FPS)

    def __init__(self, path: Path, frames: Sequence[Frame], monitor: Monitor = silent) -> None:
        """Take image files, each with its mask or None.

        Args:
            path: The image file or the folder.
            frames: The files.
            monitor: Called after each image that is read, of the stage ``read``.
        """
        self.path, self._monitor = path, monitor
        self._frames = list(frames)
        self.fps = DEFAULT_FPS
        self.times = [index / DEFAULT_FPS for index in range(len(self._frames))]
        self.size_bytes = sum(file.stat().st_size for file, _ in self._frames if file.is_file())
        self._is_warned = self._is_announced = False

    def name(self, frame: int) -> str:
        """Return the name of an image for messages."""
        return self._frames[frame][0].name

    def read(self, kept: Sequence[int]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the names and pixels of images; their alpha is that of their mask, if they have none."""
        for done, index in enumerate(kept, start=1):
            file, mask = self._frames[index]
            if file != self.path and is_animated(file):
                raise NamedError(
                    f"{file}: an animation in a folder of images; expected one image for each frame, or the "
                    "path of the animation itself."
                )
            pixels = _color_8_bits(read_pixels(file))
            if mask is not None:
                pixels = self._masked(file, pixels, mask)
            self._monitor("read", done, len(kept))
            yield str(file), pixels

    def _masked(self, file: Path, pixels: np.ndarray, mask: Path) -> np.ndarray:
        """Return an image with the alpha of its mask."""
        if pixels.shape[-1] == 4:
            if not self._is_warned:
                _logger.warning("%s has alpha; the mask %s is not used.", file, mask)
            self._is_warned = True
            return pixels
        if not self._is_announced:
            _logger.info("%s: images with masks, such as %s with %s.", self.path, file.name, mask)
        self._is_announced = True
        alpha = mask_alpha(f"{mask}, the mask of {file.name}", _color_8_bits(read_pixels(mask)))
        if alpha.shape != pixels.shape[:2]:
            raise NamedError(
                f"{mask}: {alpha.shape[1]}x{alpha.shape[0]} pixels; expected "
                f"{pixels.shape[1]}x{pixels.shape[0]}, as {file} has."
            )
        return np.dstack([pixels[..., :3], alpha])


def open_frames(path: Path, with_masks: bool = True, monitor: Monitor = silent) -> FrameSource:
    """Open the frames of a video.

    Args:
        path: A video file, an animation or an image file, or a folder of images.
        with_masks: Whether the images of a folder get their masks as alpha; otherwise these are left out.
        monitor: Called after each frame that is decoded, now and by ``read``, of the stage ``read``. A video
            file or an animation is decoded once for the times of its frames, and once more by ``read``.

    Raises:
        FileNotFoundError: if there is no such file or folder, or no image in it.
        ValueError: if a file is damaged, or some images of a folder have masks and others have none.
    """
    if path.is_dir():
        return ImageSequence(path, find_frames(path, with_masks), monitor)
    if _is_image(path):
        if is_animated(path):
            return Animation(path, monitor)
        return ImageSequence(path, [(path, None)], monitor)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder; expected {_EXPECTED}.")
    check_regular_file(path, str(path), _EXPECTED)
    brand = _start(path)[_BRAND]
    if brand == _AVIF_ANIMATION:  # FFmpeg would return its first frame only
        raise NamedError(f"{path}: is an AVIF animation; expected Pillow 11.3 or newer, which reads it.")
    if brand in _HEIF_BRANDS:  # FFmpeg would return one tile of it
        raise NamedError(f"{path}: is a HEIF image; expected a video, or images in PNG or JPEG format.")
    return VideoFile(path, monitor)


def open_masks(path: Path) -> FrameSource:
    """Open masks: as ``open_frames``, but of a folder only the masks.

    Args:
        path: A video file, an animation or an image file, or a folder of images.

    Raises:
        FileNotFoundError: if there is no such file or folder, or no image in it.
        ValueError: if a file is damaged.
    """
    if not path.is_dir():
        return open_frames(path)
    return ImageSequence(path, [(mask, None) for mask in find_masks(path)])


def _is_image(path: Path) -> bool:
    """Return whether a file is an image, by its suffix or its content."""
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES | _ANIMATION_SUFFIXES:
        return True
    if not path.is_file():
        return False
    start = _start(path)
    if suffix == ".avif" or start[_BRAND] == _AVIF_ANIMATION:
        return is_readable("AVIF")  # otherwise FFmpeg reads it
    return start.startswith(_ANIMATION_SIGNATURES) and (start[:4] != b"RIFF" or start[_WEBP_NAME] == b"WEBP")


def _start(path: Path) -> bytes:
    """Return the first bytes of a file, which tell its format."""
    with path.open("rb") as file:
        return file.read(16)


def _color_8_bits(pixels: np.ndarray) -> np.ndarray:
    """Return pixels [H, W, 1 to 4] of 8 or 16 bits as uint8 [H, W, 3], or 4 if they have transparency."""
    is_transparent = has_transparency(pixels)
    if pixels.dtype == np.uint16:
        pixels = np.rint(pixels.astype(np.float32) / 65535 * 255).astype(np.uint8)
    if pixels.shape[-1] < 3:
        pixels = pixels[..., [0, 0, 0, -1]]
    return pixels if is_transparent else pixels[..., :3]
