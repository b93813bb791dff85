"""Read a clip from disk: a video file, or a folder of pictures in the order of their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from .png import read_picture

DEFAULT_FPS = 8.0  # of a folder, which does not say
_PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
_NUMBERED = re.compile(r"([^0-9]*)([0-9]*)")
_FRAMES_FOLDER = "ref"  # of a view folder, whose frames are a clip too


@dataclass(frozen=True, eq=False)
class VideoClip:
    """Frames of a clip.

    Attributes:
        frames: uint8 [F, H, W, 3], or [F, H, W, 4] when every picture has a transparent part.
        fps: Frames a second of what was kept, so that it lasts as long as the whole.
        names: What each frame is called, for messages.
    """

    frames: Tensor
    fps: float
    names: list[str]


def read_video(path: str | Path, num_frames: int = 0) -> VideoClip:
    """Read frames spread evenly over a clip, first and last included, upright.

    Args:
        path: A video file, a picture, or a folder of pictures; in a view folder they are in ``ref``.
        num_frames: Frames to keep; 0, or more than there are, keeps all.

    Returns:
        The clip.

    Raises:
        FileNotFoundError: if there is no such file or folder, or no picture in it.
        ValueError: if a file is damaged, or frames differ in size or in having alpha.
    """
    source = Path(path)
    if num_frames < 0:
        raise ValueError(f"clip: {num_frames} frames; expected 0 (all) or more.")
    if source.is_dir() or source.suffix.lower() in _PICTURES:
        files = _pictures_in(source) if source.is_dir() else [source]
        fps, count = DEFAULT_FPS, len(files)
        kept = _kept(count, num_frames)
        pictures, names = _pictures([files[frame] for frame in kept]), [files[frame].name for frame in kept]
    elif source.is_file():
        fps, count = _rate_and_count(source)
        kept = _kept(count, num_frames)
        pictures, names = _video_frames(source, kept), [f"frame {frame} of {source.name}" for frame in kept]
    else:
        raise FileNotFoundError(
            f"{source}: no such file or folder; expected a video or a folder of pictures."
        )
    return VideoClip(torch.from_numpy(_joined(len(kept), pictures)), kept_rate(fps, count, len(kept)), names)


def kept_rate(fps: float, count: int, num_kept: int) -> float:
    """Return the rate at which the kept frames of a clip last as long as all of them did.

    Args:
        fps: Frames a second of the whole clip.
        count: Frames that it has.
        num_kept: How many of them are kept, first and last included; of a single one the rate stays.

    Returns:
        Frames a second.
    """
    return fps * (num_kept - 1) / (count - 1) if 1 < num_kept < count else fps


def _kept(count: int, num_frames: int) -> list[int]:
    """Return which of a clip's frames are kept."""
    num_kept = min(num_frames or count, count)
    return np.linspace(0, count - 1, num_kept).round().astype(int).tolist()


def _pictures_in(folder: Path) -> list[Path]:
    """Return a folder's pictures, 2 before 10."""
    for place in (folder / _FRAMES_FOLDER, folder):
        found = [file for file in place.glob("[!.]*") if file.suffix.lower() in _PICTURES]
        if found:
            return sorted(found, key=_by_number)
    raise FileNotFoundError(f"{folder}: no pictures; expected files such as 0.png, 1.png or 0.jpg.")


def _by_number(file: Path) -> tuple[list[tuple[str, int]], str]:
    """Return what sorts names by the numbers in them."""
    return [(text, int(number or 0)) for text, number in _NUMBERED.findall(file.stem)], file.name


def _pictures(files: list[Path]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield names and pictures, uint8 [H, W, 3 or 4]."""
    for file in files:
        colors, alpha = read_picture(file)
        if alpha is not None and alpha.min() == 1:
            alpha = None  # RGBA that is opaque throughout says nothing about the object
        pixels = colors if alpha is None else np.concatenate([colors, alpha[..., None]], axis=-1)
        yield str(file), np.rint(pixels * 255).astype(np.uint8)


def _joined(count: int, pictures: Iterator[tuple[str, np.ndarray]]) -> np.ndarray:
    """Return so many pictures of one size, uint8 [F, H, W, 3 or 4], held once: a clip may fill the memory."""
    first, picture = next(pictures)
    joined = np.empty((count, *picture.shape), np.uint8)
    joined[0] = picture
    for index, (name, picture) in enumerate(pictures, start=1):
        if picture.shape[:2] != joined.shape[1:3]:
            raise ValueError(f"{name}: {_size(picture)} pixels; expected {_size(joined[0])}, as {first} has.")
        if picture.shape != joined.shape[1:]:
            has, expected = ("no alpha", "alpha") if picture.shape[-1] == 3 else ("alpha", "none")
            raise ValueError(f"{name}: has {has}; expected {expected}, as {first} has.")
        joined[index] = picture
    return joined


def _size(picture: np.ndarray) -> str:
    """Return width and height in words."""
    return f"{picture.shape[1]}x{picture.shape[0]}"


def _decoded(path: Path) -> Iterator[av.VideoFrame]:
    """Yield a video's frames; raises ValueError if it is none."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError(f"{path}: has no video; expected a video file or a folder of pictures.")
            if container.streams.video[0].codec_context is None:  # older av would crash
                raise ValueError(f"{path}: unreadable or cut short; expected a video in a known format.")
            yield from container.decode(video=0)
    except av.FFmpegError as error:
        raise ValueError(
            f"{path}: unreadable or cut short ({error}); expected a video file or a folder of pictures."
        ) from error


def _rate_and_count(path: Path) -> tuple[float, int]:
    """Return frames a second of a video and how many there are, by decoding it: headers are often wrong."""
    count, last = 0, None
    for frame in _decoded(path):
        count += 1
        last = frame
    if last is None:
        raise ValueError(f"{path}: has no frames; expected at least one.")
    with av.open(str(path)) as container:
        rate = container.streams.video[0].average_rate
    return float(rate) if rate else DEFAULT_FPS, count


def _video_frames(path: Path, kept: list[int]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield names and frames of a video, uint8 [H, W, 3], turned as its display matrix says."""
    wanted = set(kept)
    for index, frame in enumerate(_decoded(path)):
        if index in wanted:
            pixels = frame.to_ndarray(format="rgb24")
            yield f"frame {index} of {path}", np.rot90(pixels, round(frame.rotation / 90))
