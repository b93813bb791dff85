"""ComfyUI's VIDEO: frames are read from its file where it has one, so that long videos need little memory."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from comfy_api.latest import Input

from ...stag4d.data import FrameSource, frames_between, open_frames
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
def opened_video(video: Input.Video) -> Iterator[tuple[FrameSource, range]]:
    """Open the file of a VIDEO for which ``has_file`` is true.

    Yields:
        The frames of the file, and the indices of those that the VIDEO has: it may be trimmed.

    Raises:
        ValueError: if the file is damaged or has no video, or no frame lies within the trim.
    """
    source = video.get_stream_source()
    if isinstance(source, str):
        frames = open_frames(Path(source))
        yield frames, _within_trim(frames, video)
        return
    with temporary_folder(temp_folder()) as folder:  # the readers need a path
        copy = folder / "video"
        with copy.open("wb") as file:
            shutil.copyfileobj(source, file)
        frames = open_frames(copy)
        yield frames, _within_trim(frames, video)


def decoded_video(video: Input.Video) -> tuple[torch.Tensor, float]:
    """Return all images of a VIDEO, [F, H, W, 3], or 4 if it has alpha, and its frames per second."""
    components = video.get_components()
    images, alpha = components.images, getattr(components, "alpha", None)  # older hosts have no alpha
    if alpha is not None:
        images = torch.cat([images, alpha.reshape(*images.shape[:3], 1)], dim=-1)
    return images, float(components.frame_rate)


def _within_trim(frames: FrameSource, video: Input.Video) -> range:
    """Return the indices of the frames that a VIDEO has, by the clock of its file as in the host."""
    start, duration = video.get_active_trim_window()
    if not start and not duration:
        return range(len(frames.times))
    begin = start - frames.first_time
    return frames_between(frames.times, max(begin, 0.0), begin + duration if duration else None)
