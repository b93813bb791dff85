"""ComfyUI's VIDEO: frames are read from its file where it has one, so that long videos need little memory."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from comfy_api.latest import Input

from ...stag4d.data import FrameSource, frames_between, open_frames
from ...stag4d.progress import Monitor
from ...stag4d.temporary import temporary_folder
from .files import temp_folder


def has_file(video: Input.Video) -> bool:
    """Return whether a VIDEO is a file, on disk or in memory, and not a batch of images.

    For others the host's own ``get_stream_source`` would encode the images, with loss and without alpha.
    """
    source = getattr(type(video), "get_stream_source", None)
    is_own = source is not getattr(Input.Video, "get_stream_source", None)
    return is_own and hasattr(video, "get_active_trim_window")  # older hosts do not tell how it is trimmed


@contextmanager
def opened_video(video: Input.Video, monitor: Monitor) -> Iterator[tuple[FrameSource, range]]:
    """Open the file of a VIDEO for which ``has_file`` is true.

    Args:
        video: The VIDEO.
        monitor: See ``open_frames``.

    Yields:
        The frames of the file, and the indices of those that the VIDEO has: it may be trimmed.

    Raises:
        ValueError: if the file is damaged or has no video, or no frame lies within the trim.
    """
    source = video.get_stream_source()
    if isinstance(source, (str, os.PathLike)):
        frames = open_frames(Path(source), monitor=monitor)
        yield frames, _within_trim(frames, video)
        return
    with temporary_folder(temp_folder()) as folder:  # the readers need a path
        copy = folder / "video"
        with copy.open("wb") as file:
            shutil.copyfileobj(source, file)
        frames = open_frames(copy, monitor=monitor)
        yield frames, _within_trim(frames, video)


def decoded_video(video: Input.Video) -> tuple[torch.Tensor, float]:
    """Return all images of a VIDEO, [F, H, W, 3], or 4 if it has alpha, and its frames per second."""
    components = video.get_components()
    images, alpha = components.images, getattr(components, "alpha", None)  # older hosts have no alpha
    if alpha is not None:
        images = torch.cat([images, alpha.reshape(*images.shape[:3], 1)], dim=-1)
    return images, float(components.frame_rate)


def _within_trim(frames: FrameSource, video: Input.Video) -> range:
    """Return the indices of the frames that a VIDEO has.

    As in the host, whose masks have to fit, times are those of the file's clock, rounded down to its unit.
    """
    start, duration = video.get_active_trim_window()
    if not start and not duration:
        return range(len(frames.times))

    def since_first_frame(time: float) -> float:
        return float(int(time / frames.time_base) * frames.time_base) - frames.first_time

    end = since_first_frame(start + duration) if duration else None
    return frames_between(frames.times, max(since_first_frame(start), 0.0), end)
