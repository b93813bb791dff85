"""Read frames of a video, evenly spaced in time."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .decoding import NamedError, check_result_size, errors_naming
from .frame_source import FrameSource, open_frames, open_masks
from .frame_times import evenly_spaced, frames_between, is_even, rate_of_times, subsampled_fps
from .masks import mask_alpha, with_alpha

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
    """

    frames: Tensor
    fps: float
    names: list[str]
    indices: list[int] = field(default_factory=list)


def read_video(
    path: str | Path,
    num_frames: int = 0,
    *,
    start: float = 0.0,
    end: float | None = None,
    masks: str | Path | None = None,
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
        masks: Masks of the frames, as ``read_masks`` takes them; they become the alpha of the frames.

    Returns:
        The frames, their rate, their names and their indices.

    Raises:
        FileNotFoundError: if there is no such file or folder, or no image in it.
        ValueError: if a file is damaged or declares too much for its size, frames differ in size or in having
            alpha, no frame is between ``start`` and ``end``, or masks do not match the frames.
    """
    if num_frames < 0:
        raise ValueError(f"video: {num_frames} frames; expected 0 (all) or more.")
    source = open_frames(Path(path))
    between = frames_between(source.times, start, end)
    times = source.times[between.start : between.stop]
    kept = [between.start + frame for frame in evenly_spaced(times, num_frames)]
    images = source.read(kept)
    if masks is not None:
        images = with_alpha(images, _read_masks(Path(masks), kept, len(source.times)))
    with errors_naming(source.path, "frames that fit in memory"):
        stacked = _stack(source, len(kept), images)
        if masks is None and stacked.shape[-1] == 4 and stacked[..., 3].min() == 255:
            stacked = np.ascontiguousarray(
                stacked[..., :3]
            )  # alpha that is opaque throughout separates nothing
    fps = _playback_fps(source, times, len(kept))
    return VideoClip(torch.from_numpy(stacked), fps, [source.name(frame) for frame in kept], kept)


def read_masks(path: str | Path, indices: Sequence[int], num_source_frames: int) -> Tensor:
    """Read masks of frames of a video as alpha.

    Args:
        path: A video file or an animation, a folder of images, or an image file. The object is white on
            black, or the background is transparent. There is one mask for each frame of the video, or one for
            each of the chosen frames.
        indices: Ascending indices of the F chosen frames in the video, as ``VideoClip.indices``.
        num_source_frames: Number of frames of the video.

    Returns:
        Alphas [F, H, W], float32 0..1.

    Raises:
        FileNotFoundError: if there is no such file or folder, or no image in it.
        ValueError: if there is another number of masks, they differ in size, or a file is damaged or no mask.
    """
    masks = _read_masks(Path(path), indices, num_source_frames)
    alphas = [(name, mask_alpha(name, pixels)) for name, pixels in masks]
    for name, alpha in alphas:
        if alpha.shape != alphas[0][1].shape:
            raise ValueError(
                f"{name}: {_size(alpha)} pixels; expected {_size(alphas[0][1])}, as {alphas[0][0]} has."
            )
    return torch.from_numpy(np.stack([alpha for _, alpha in alphas])).float() / 255


def _read_masks(path: Path, kept: Sequence[int], count: int) -> Iterator[tuple[str, np.ndarray]]:
    """Return the masks of the kept of ``count`` frames."""
    source = open_masks(path)
    num_masks = len(source.times)
    if num_masks not in (count, len(kept)):
        raise ValueError(
            f"{path}: {num_masks} masks; expected {count}, one for each frame of the video, or "
            f"{len(kept)}, one for each chosen frame."
        )
    return source.read(kept if num_masks == count else range(num_masks))


def _playback_fps(source: FrameSource, times: Sequence[float], num_kept: int) -> float:
    """Return the rate of the kept frames; warns if they are played evenly though their times are not."""
    fps = rate_of_times(times, source.fps)
    if num_kept >= len(times) and not is_even(times):
        _logger.warning(
            "%s: its frame rate varies, and all %d frames are kept; they play evenly, at %.4g a second. "
            "Fewer frames are chosen by their times.",
            source.path,
            len(times),
            fps,
        )
    return subsampled_fps(fps, len(times), num_kept)


def _stack(source: FrameSource, count: int, images: Iterator[tuple[str, np.ndarray]]) -> np.ndarray:
    """Stack ``count`` images of one size into uint8 [F, H, W, 3 or 4].

    Each image is copied into the result as it comes, so that a long video is held in memory once, not twice.
    """
    first, image = next(images)
    check_result_size(source.path, count, image.nbytes, source.size_bytes)
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
