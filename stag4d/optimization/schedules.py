"""Numbers that change over a run: learning rates, render sizes and the frames that are seen.

Progress is steps done over steps planned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LogLinear:
    """A value that falls log-linearly from ``start`` to ``end`` over a share of the run, then stays.

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
    """Return a schedule that never changes."""
    return LogLinear(start=value, end=value)


def size_at(progress: float, full_size: int, steps: Sequence[tuple[float, float]]) -> int:
    """Return the render size at a progress.

    Args:
        progress: In [0, 1].
        full_size: Pixels at scale 1.
        steps: (until, scale) pairs in order; beyond the last, scale 1.

    Returns:
        Pixels, at least 16 or the full size if that is smaller.
    """
    scale = next((scale for until, scale in steps if progress < until), 1.0)
    return max(round(full_size * scale), min(16, full_size))


def frames_at(progress: float, num_frames: int, static_until: float, spread_until: float) -> range:
    """Return the frames that are seen at a progress.

    Args:
        progress: In [0, 1].
        num_frames: Of the clip.
        static_until: Before it only the middle frame is seen.
        spread_until: From then until here the frames spread from the middle one to both ends of the clip.

    Returns:
        Consecutive frames; two or more once the clip is not static, if it has as many.
    """
    middle = num_frames // 2
    if progress < static_until:
        return range(middle, middle + 1)
    if progress >= spread_until:
        return range(num_frames)
    share = (progress - static_until) / (spread_until - static_until)
    reach = 1 + int(share * middle)
    return range(max(middle - reach, 0), min(middle + reach + 1, num_frames))
