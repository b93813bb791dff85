"""Read a video from a video file, or from a folder of images in natural order of their names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from .png import read_image

DEFAULT_FPS = 8.0  # for image folders, which have no frame rate
_IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
_NUMBERED = re.compile(r"([^0-9]*)([0-9]*)")
_FRAMES_FOLDER = "ref"  # of a ViewSet folder, whose input frames are a video too


@dataclass(frozen=True, eq=False)
class VideoClip:
    """Frames of a video, and how fast they play.

    Attributes:
        frames: uint8 [F, H, W, 3], or [F, H, W, 4] when every image has an alpha channel that is not opaque
            throughout.
        fps: Frames a second of these frames: after subsampling, they last as long as the whole video.
        names: Name of each frame for error messages.
    """

    frames: Tensor
    fps: float
    names: list[str]


def read_video(
    path: str | Path,
    num_frames: int = 0,
    *,
    start: float = 0.0,
    end: float | None = None,
    masks: str | Path | None = None,
) -> VideoClip:
    """Read evenly spaced frames of a video, first and last included, rotated upright.

    Args:
        path: A video file, an image file, or a folder of images; of a ViewSet folder its ``ref`` is read.
        num_frames: Number of frames to keep; 0, or more than there are, keeps all.
        start: Time of the first frame, seconds; images of a folder are 1/8 second apart.
        end: Frames from this time on are left out, seconds; None for the end of the video.
        masks: Video or folder of as many masks as the video has frames, white on the object; they become the
            alpha of the frames.

    Returns:
        The frames, their rate and their names.

    Raises:
        FileNotFoundError: if there is no such file or folder, or no image in it.
        ValueError: if a file is damaged, or frames differ in size or in having alpha.
    """
    source = Path(path)
    if num_frames < 0:
        raise ValueError(f"video: {num_frames} frames; expected 0 (all) or more.")
    if source.is_dir() or source.suffix.lower() in _IMAGE_SUFFIXES:
        files = _find_images(source) if source.is_dir() else [source]
        fps, count = DEFAULT_FPS, len(files)
        kept = _evenly_spaced_between(count, num_frames, fps, start, end)
        images, names = _read_images([files[frame] for frame in kept]), [files[frame].name for frame in kept]
    elif source.is_file():
        fps, count = _rate_and_count(source)
        kept = _evenly_spaced_between(count, num_frames, fps, start, end)
        images, names = _video_frames(source, kept), [f"frame {frame} of {source.name}" for frame in kept]
    else:
        raise FileNotFoundError(
            f"{source}: no such file or folder; expected a video file or a folder of images."
        )
    frames = torch.from_numpy(_stack(len(kept), images))
    if masks is not None:
        frames = _with_masks(frames, read_video(masks).frames, kept, masks)
    return VideoClip(frames, subsampled_fps(fps, kept[-1] - kept[0] + 1, len(kept)), names)


def subsampled_fps(fps: float, count: int, num_kept: int) -> float:
    """Return the frame rate at which a video's kept frames last as long as all of its frames.

    Args:
        fps: Frames a second of the whole video.
        count: Number of its frames.
        num_kept: Number of kept frames, first and last included; a single one keeps ``fps``.

    Returns:
        Frames a second.
    """
    return fps * (num_kept - 1) / (count - 1) if 1 < num_kept < count else fps


def _evenly_spaced_between(
    count: int, num_frames: int, fps: float, start: float, end: float | None
) -> list[int]:
    """Return the indices of evenly spaced frames whose times, seconds, are from start to before end."""
    between = [
        frame for frame in range(count) if start <= frame / fps + 1e-6 and (end is None or frame / fps < end)
    ]
    if not between:
        raise ValueError(
            f"video: no frame from {start:g} to {end or math.inf:g} seconds; it has {count / fps:g} seconds."
        )
    return [between[index] for index in _evenly_spaced(len(between), num_frames)]


def _with_masks(frames: Tensor, masks: Tensor, kept: list[int], path: str | Path) -> Tensor:
    """Return frames with masks [F, H, W, 3 or 4] as alpha, uint8 [F, H, W, 4]."""
    if masks.shape[1:3] != frames.shape[1:3] or kept[-1] >= len(masks):
        raise ValueError(f"{path}: {len(masks)} masks; expected one of the same size for every frame.")
    alpha = masks[kept, ..., -1:] if masks.shape[-1] == 4 else masks[kept].amax(dim=-1, keepdim=True)
    return torch.cat([frames[..., :3], alpha], dim=-1)


def _evenly_spaced(count: int, num_frames: int) -> list[int]:
    """Return the indices of ``num_frames`` of ``count`` frames, first and last included; 0 keeps all."""
    num_kept = min(num_frames or count, count)
    return np.linspace(0, count - 1, num_kept).round().astype(int).tolist()


def _find_images(folder: Path) -> list[Path]:
    """Return the image files of a folder in natural order: 2 before 10."""
    for place in (folder / _FRAMES_FOLDER, folder):
        found = [file for file in place.glob("[!.]*") if file.suffix.lower() in _IMAGE_SUFFIXES]
        if found:
            return sorted(found, key=_natural_key)
    raise FileNotFoundError(f"{folder}: no images; expected files such as 0.png, 1.png or 0.jpg.")


def _natural_key(file: Path) -> tuple[list[tuple[str, int]], str]:
    """Return a sort key that compares the numbers in file names by value."""
    return [(text, int(number or 0)) for text, number in _NUMBERED.findall(file.stem)], file.name


def _read_images(files: list[Path]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the names and pixels of image files, uint8 [H, W, 3 or 4]."""
    for file in files:
        colors, alpha = read_image(file)
        if alpha is not None and alpha.min() == 1:
            alpha = None  # an alpha channel that is opaque throughout does not separate the object
        pixels = colors if alpha is None else np.concatenate([colors, alpha[..., None]], axis=-1)
        yield str(file), np.rint(pixels * 255).astype(np.uint8)


def _stack(count: int, images: Iterator[tuple[str, np.ndarray]]) -> np.ndarray:
    """Stack ``count`` images of one size into uint8 [F, H, W, 3 or 4].

    Each image is copied into the result as it comes, so that a long video is held in memory once, not twice.
    """
    first, image = next(images)
    stacked = np.empty((count, *image.shape), np.uint8)
    stacked[0] = image
    for index, (name, image) in enumerate(images, start=1):
        if image.shape[:2] != stacked.shape[1:3]:
            raise ValueError(f"{name}: {_size(image)} pixels; expected {_size(stacked[0])}, as {first} has.")
        if image.shape != stacked.shape[1:]:
            has, expected = ("no alpha", "alpha") if image.shape[-1] == 3 else ("alpha", "none")
            raise ValueError(f"{name}: has {has}; expected {expected}, as {first} has.")
        stacked[index] = image
    return stacked


def _size(image: np.ndarray) -> str:
    """Return the size of an image as ``WIDTHxHEIGHT``."""
    return f"{image.shape[1]}x{image.shape[0]}"


def _decode(path: Path) -> Iterator[av.VideoFrame]:
    """Yield the frames of a video file; raises ValueError if it cannot be decoded."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError(f"{path}: has no video; expected a video file or a folder of images.")
            if container.streams.video[0].codec_context is None:  # older PyAV would crash on decoding
                raise ValueError(f"{path}: unreadable or cut short; expected a video in a known format.")
            yield from container.decode(video=0)
    except av.FFmpegError as error:
        raise ValueError(
            f"{path}: unreadable or cut short ({error}); expected a video file or a folder of images."
        ) from error


def _rate_and_count(path: Path) -> tuple[float, int]:
    """Return a video's frame rate and number of frames, counted by decoding: headers are often wrong."""
    count, last = 0, None
    for frame in _decode(path):
        count += 1
        last = frame
    if last is None:
        raise ValueError(f"{path}: has no frames; expected at least one.")
    with av.open(str(path)) as container:
        rate = container.streams.video[0].average_rate
    return float(rate) if rate else DEFAULT_FPS, count


def _video_frames(path: Path, kept: list[int]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the names and pixels of a video's kept frames, uint8 [H, W, 3], rotated by its display matrix."""
    wanted = set(kept)
    for index, frame in enumerate(_decode(path)):
        if index in wanted:
            pixels = frame.to_ndarray(format="rgb24")
            yield f"frame {index} of {path}", np.rot90(pixels, round(frame.rotation / 90))
