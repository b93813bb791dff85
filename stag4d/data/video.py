"""Read frames of a video, evenly spaced in time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..progress import Monitor, silent
from .decoding import NamedError, check_result_size, errors_naming, max_result_bytes
from .frame_source import FrameSource, open_frames, open_masks
from .frame_times import evenly_spaced, frames_between, is_even, rate_of_times, subsampled_fps
from .masks import with_alpha

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class VideoClip:
    """Frames of a video, and how fast they play.

    Attributes:
        frames: uint8 [F, H, W, 3], or [F, H, W, 4] when they have an alpha channel that is not opaque
            throughout, or given masks.
        fps: Frames a second of these frames: after subsampling, they last as long as the whole video.
        names: Name of each frame for error messages.
        indices: Index of each frame in the video.
        num_available: How many frames could have been read: those between start and end, or those that have
            masks, within the limit of memory.
    """

    frames: Tensor
    fps: float
    names: list[str]
    indices: list[int] = field(default_factory=list)
    num_available: int = 0


def read_video(
    path: str | Path,
    num_frames: int = 0,
    *,
    start: float = 0.0,
    end: float | None = None,
    masks: str | Path | None = None,
    monitor: Monitor = silent,
) -> VideoClip:
    """Read frames of a video that are evenly spaced in time, first and last included, as a player shows them.

    Rotation, mirroring, pixel aspect ratio, color range and matrix are applied, and HDR is tone-mapped.
    Images of a folder that have masks get them as alpha; see ``image_folder``.

    Args:
        path: A video file, an animation or an image file, or a folder of images; of a ViewSet folder its
            ``ref`` is read.
        num_frames: Number of frames to keep; 0, or more than there are, keeps all.
        start: Time of the first frame, seconds; images of a folder are 1/8 second apart.
        end: Frames from this time on are left out, seconds; None for the end of the video.
        masks: A video file or an animation, a folder of images, or an image file that becomes the alpha of
            the frames. The object is white on black, or the background is transparent. There is one mask for
            each frame of the video, or one for each of the kept frames.
        monitor: See ``open_frames``.

    Returns:
        The frames, their rate, their names and their indices.

    Raises:
        FileNotFoundError: if there is no such file or folder, or no image in it.
        ValueError: if a file is damaged or declares too much for its size, frames differ in size or in having
            alpha, no frame is between ``start`` and ``end``, or masks do not match the frames.
    """
    source = open_frames(Path(path), masks is None, monitor)
    return read_frames(source, frames_between(source.times, start, end), num_frames, masks=masks)


def read_frames(
    source: FrameSource,
    between: range,
    num_frames: int = 0,
    *,
    masks: str | Path | None = None,
    check_shape: Callable[[tuple[int, ...]], None] = lambda shape: None,
) -> VideoClip:
    """Read frames of an opened video that are evenly spaced in time, as ``read_video`` does.

    Args:
        source: The video, from ``open_frames``.
        between: Indices of the frames to choose from, at least one.
        num_frames: Number of frames to keep; 0, or more than there are, keeps all.
        masks: See ``read_video``.
        check_shape: Called with the shape of the frames, [F, H, W, C], before they are held in memory; it
            may raise an error.

    Returns:
        The frames, their rate, their names and their indices.

    Raises:
        FileNotFoundError: if there are no such masks.
        ValueError: for frames and masks that ``read_video`` rejects.
    """
    if num_frames < 0:
        raise ValueError(f"video: {num_frames} frames; expected 0 (all) or more.")
    times = source.times[between.start : between.stop]
    kept = [between.start + frame for frame in evenly_spaced(times, num_frames)]
    images, num_available = source.read(kept), len(times)
    if masks is not None:
        mask_source = _open_masks(Path(masks), len(kept), len(source.times))
        has_all = len(mask_source.times) == len(source.times)
        images = with_alpha(images, mask_source.read(kept if has_all else range(len(kept))))
        num_available = len(times) if has_all else len(kept)
    stacked = _stack(source, len(kept), images, check_shape)
    num_available = min(num_available, max_result_bytes(source.size_bytes) // stacked[0].nbytes)
    if masks is None and stacked.shape[-1] == 4 and stacked[..., 3].min() == 255:
        stacked = np.ascontiguousarray(stacked[..., :3])  # alpha that is opaque throughout separates nothing
    fps, names = _playback_fps(source, times, len(kept)), [source.name(frame) for frame in kept]
    return VideoClip(torch.from_numpy(stacked), fps, names, kept, num_available)


def _open_masks(path: Path, num_kept: int, count: int) -> FrameSource:
    """Open the masks of ``count`` frames, or of those of them that are kept."""
    source = open_masks(path)
    if len(source.times) not in (count, num_kept):
        raise ValueError(
            f"{path}: {len(source.times)} masks; expected {count}, one for each frame of the video, or "
            f"{num_kept}, one for each chosen frame."
        )
    return source


def _playback_fps(source: FrameSource, times: Sequence[float], num_kept: int) -> float:
    """Return the rate of the kept frames; warns if they are played evenly though their times are not."""
    fps = rate_of_times(times, source.fps)
    if num_kept >= len(times) and not is_even(times):
        _logger.warning(
            "%s: variable frame rate, and all %d frames are kept; the scene plays them at a constant %.4g "
            "frames per second. Choose fewer frames to keep the timing.",
            source.path,
            len(times),
            fps,
        )
    return subsampled_fps(fps, len(times), num_kept)


def _stack(
    source: FrameSource,
    count: int,
    images: Iterator[tuple[str, np.ndarray]],
    check_shape: Callable[[tuple[int, ...]], None],
) -> np.ndarray:
    """Stack ``count`` images of one size into uint8 [F, H, W, 3 or 4].

    Each image is copied into the result as it comes, so that a long video is held in memory once, not twice.
    """
    first, image = next(images)
    check_result_size(source.path, count, image.nbytes, source.size_bytes)
    check_shape((count, *image.shape))
    with errors_naming(source.path, "frames that fit in memory"):
        stacked = np.empty((count, *image.shape), np.uint8)
    stacked[0] = image
    for index, (name, image) in enumerate(images, start=1):
        if image.shape[:2] != stacked.shape[1:3]:
            raise NamedError(f"{name}: {_size(image)} pixels; expected {_size(stacked[0])}, as {first} has.")
        if image.shape != stacked.shape[1:]:
            has, expected = ("no alpha", "alpha") if image.shape[-1] == 3 else ("alpha", "none")
            raise NamedError(f"{name}: has {has}; expected {expected}, as {first} has.")
        stacked[index] = image
    return stacked


def _size(image: np.ndarray) -> str:
    """Return the size of an image [H, W, ...] as ``WIDTHxHEIGHT``."""
    return f"{image.shape[1]}x{image.shape[0]}"
