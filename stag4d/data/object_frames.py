"""Choose frames of a video that show the object, without reading all of its frames."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..matting import CroppedVideo
from .video import VideoClip

_logger = logging.getLogger(__name__)

_MAX_READ = 4  # times the frames to keep, when some of them show no object


def read_object_frames(
    read: Callable[[int], VideoClip],
    crop: Callable[[VideoClip], CroppedVideo],
    num_frames: int,
    *,
    subject: str,
) -> tuple[VideoClip, CroppedVideo]:
    """Read evenly spaced frames and crop them; if some show no object, choose from four times as many.

    Args:
        read: Returns a number of evenly spaced frames of the video; 0 is for all.
        crop: Crops ``num_frames`` of the frames that show the object.
        num_frames: Number of frames to keep; 0 keeps all.
        subject: What the video is called in the log.

    Returns:
        The frames that were read, and the cropped ones.
    """
    video = read(num_frames)
    cropped = crop(video)
    if len(cropped.frames) < len(video.frames) < video.num_available:
        num_read = min(_MAX_READ * num_frames, video.num_available)
        _logger.info("%s: choosing from %d frames instead.", subject, num_read)
        video = read(num_read)
        cropped = crop(video)
    return video, cropped
