"""Frame times and frame rates of videos: choose frames by their times, and compare rates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_EVEN_TOLERANCE = 0.25  # of the mean distance of two frames: Matroska rounds times to 1 ms, GIF to 10 ms
_TIME_TOLERANCE = 1e-6  # seconds
_FPS_TOLERANCE = 0.01  # relative


def frames_between(times: Sequence[float], start: float, end: float | None) -> range:
    """Return the indices of the frames from ``start`` up to, not including, ``end``.

    Args:
        times: When each frame is shown, seconds from the first, ascending.
        start: First time, seconds.
        end: End, seconds; None for the end of the video.

    Raises:
        ValueError: if the times are negative or no numbers, or there is no frame between them.
    """
    check_span(start, end)
    stop = float("inf") if end is None else end
    first = int(np.searchsorted(times, start - _TIME_TOLERANCE))
    last = int(np.searchsorted(times, stop - _TIME_TOLERANCE))
    if first == last:
        limit = "its end" if end is None else f"{end:g} s"
        raise ValueError(
            f"video: no frame from {start:g} s to {limit}; expected some of its {len(times)} frames, which "
            f"are shown from 0 to {times[-1]:g} s."
        )
    return range(first, last)


def check_span(start: float, end: float | None) -> None:
    """Raise ValueError unless a start and an end, seconds, are in order; None is the end of the video."""
    if not 0 <= start < (float("inf") if end is None else end):
        limit = "the end" if end is None else f"{end:g} s"
        raise ValueError(f"video: frames from {start:g} s to {limit}; expected 0 <= start < end.")


def evenly_spaced(times: Sequence[float], num_frames: int) -> list[int]:
    """Return the indices of frames that are evenly spaced in time, first and last included.

    A frame that is shown for long may be chosen more than once.

    Args:
        times: When each frame is shown, seconds, ascending.
        num_frames: Number of frames to choose; 0, or more than there are, chooses all.

    Returns:
        Ascending indices.
    """
    count = len(times)
    if num_frames == 0 or num_frames >= count:
        return list(range(count))
    if is_even(times):
        return np.linspace(0, count - 1, num_frames).round().astype(int).tolist()
    targets = np.linspace(times[0], times[-1], num_frames)
    after = np.clip(np.searchsorted(times, targets), 1, count - 1)
    stamps = np.asarray(times)
    is_before_nearer = targets - stamps[after - 1] <= stamps[after] - targets
    return np.where(is_before_nearer, after - 1, after).tolist()


def is_even(times: Sequence[float]) -> bool:
    """Return whether frames are shown at a constant rate, but for rounding of the times."""
    even = np.linspace(times[0], times[-1], len(times))
    interval = (times[-1] - times[0]) / max(len(times) - 1, 1)
    return bool(np.all(np.abs(np.asarray(times) - even) <= _EVEN_TOLERANCE * interval))


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


def rate_of_times(times: Sequence[float], declared_fps: float) -> float:
    """Return the frame rate of frames: the declared one if their times agree with it.

    Args:
        times: When each frame is shown, seconds, ascending.
        declared_fps: Frames a second.

    Returns:
        Frames a second.
    """
    intervals, duration = len(times) - 1, times[-1] - times[0]
    # The declared rate is exact, and times are rounded. Half a frame off at the end is another rate.
    if duration <= 0 or abs(intervals / declared_fps - duration) <= 0.5 / declared_fps:
        return declared_fps
    return intervals / duration


def check_equal_fps(rates: Sequence[float], subject: str) -> None:
    """Raise ValueError unless frame rates are equal to 1 %.

    Args:
        rates: Frames a second, at least one rate.
        subject: What has them, in the same order, for the message.
    """
    if max(rates) > min(rates) * (1 + _FPS_TOLERANCE):
        found = ", ".join(f"{rate:g}" for rate in rates)
        raise ValueError(f"{subject}: {found} frames per second; expected equal frame rates.")
