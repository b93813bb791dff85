"""Schedules of a fit: learning rates, render sizes and the frames in use.

Progress is the share of the steps that are done.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LogLinear:
    """Log-linear decay from ``start`` to ``end`` over a share of the steps, then constant.

    Attributes:
        start: Value at progress 0.
        end: Value from ``until`` on.
        until: Progress at which the end is reached, in (0, 1].
    """

    start: float
    end: float
    until: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError with the offending value."""
        if self.start <= 0 or self.end <= 0 or not 0 < self.until <= 1:
            raise ValueError(f"schedule: {self}; start and end must be positive, until in (0, 1].")

    def __call__(self, progress: float) -> float:
        """Return the value at a progress in [0, 1]."""
        share = min(progress / self.until, 1.0)
        return math.exp((1 - share) * math.log(self.start) + share * math.log(self.end))


def constant(value: float) -> LogLinear:
    """Return a constant schedule."""
    return LogLinear(start=value, end=value)


def size_at(progress: float, full_size: int, scales: Sequence[tuple[float, float]]) -> int:
    """Return the render size at a progress.

    Args:
        progress: In [0, 1].
        full_size: Pixels at scale 1.
        scales: (until, scale) pairs in order; beyond the last, scale 1.

    Returns:
        Pixels, at least 16 or the full size if that is smaller.
    """
    scale = next((scale for until, scale in scales if progress < until), 1.0)
    return max(round(full_size * scale), min(16, full_size))


def frames_at(progress: float, num_frames: int, static_until: float, spread_until: float) -> range:
    """Return the frames in use at a progress.

    Args:
        progress: In [0, 1].
        num_frames: Frames of the video.
        static_until: Until then, only the middle frame is used.
        spread_until: Until then, the frames in use spread from the middle one to both ends of the video.

    Returns:
        Consecutive frames; two or more after the static phase, if there are as many.
    """
    middle = num_frames // 2
    if progress < static_until:
        return range(middle, middle + 1)
    if progress >= spread_until:
        return range(num_frames)
    share = (progress - static_until) / (spread_until - static_until)
    reach = 1 + int(share * middle)
    return range(max(middle - reach, 0), min(middle + reach + 1, num_frames))
