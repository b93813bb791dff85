"""Flicker: how far the temporal differences of a video are from those of a reference.

A frozen video has no temporal differences and is still wrong, so both measures compare differences with those
of a reference instead of adding them up.
"""

from __future__ import annotations

import math
from collections import deque

import torch
from torch import Tensor

_MIN_CHANGE = 1e-3  # floor of mean temporal differences, a quarter of an 8-bit level


def flicker(images: Tensor, truth: Tensor) -> Tensor:
    """Return the error of temporal differences: mean |d(images) - d(truth)| over mean |d(truth)|.

    d is the difference of consecutive frames; means are over frames, pixels and channels.

    Args:
        images: [..., F, H, W, 3], two frames or more.
        truth: Ground truth of the same shape.

    Returns:
        [...] float64; 0 for the true temporal differences, 1 for a frozen video.

    Raises:
        ValueError: if the shapes differ or there is only one frame.
    """
    if images.shape != truth.shape or images.ndim < 4 or images.shape[-4] < 2:
        raise ValueError(
            f"flicker: images of shape {list(images.shape)} and {list(truth.shape)}; expected one shape "
            "[..., F, H, W, 3] with two frames or more."
        )
    meter = FlickerMeter()
    for frame in range(images.shape[-4]):
        meter.add(images[..., frame, :, :, :], truth[..., frame, :, :, :])
    return meter.values()


class FlickerMeter:
    """``flicker`` of videos whose frames are added one by one."""

    def __init__(self) -> None:
        self._last: tuple[Tensor, Tensor] | None = None
        self._errors: Tensor | float = 0.0
        self._changes: Tensor | float = 0.0
        self._count = 0

    def add(self, images: Tensor, truth: Tensor) -> None:
        """Add the next frame of the videos and of their ground truth, [..., H, W, 3] each."""
        if self._last is not None:
            # differences over time, so that an error that does not change from frame to frame cancels
            change, true_change = images - self._last[0], truth - self._last[1]
            self._errors = self._errors + (change - true_change).abs().double().mean(dim=(-3, -2, -1))
            self._changes = self._changes + true_change.abs().double().mean(dim=(-3, -2, -1))
            self._count += 1
        self._last = images, truth

    def values(self) -> Tensor:
        """Return the flicker of each video, [...]; the denominator is at least 0.001 per frame difference."""
        errors, changes = torch.as_tensor(self._errors), torch.as_tensor(self._changes)
        # the floor keeps 8-bit rounding of a static object from counting as infinite flicker
        return errors / changes.clamp_min(_MIN_CHANGE * self._count)


class TemporalDifferenceMeter:
    """Mean absolute second temporal difference of videos whose frames are added one by one.

    Second differences cancel motion at constant speed and keep flicker.
    """

    def __init__(self) -> None:
        self._last: deque[Tensor] = deque(maxlen=3)  # the frames of one second difference
        self._total = 0.0
        self._count = 0

    def add(self, images: Tensor) -> None:
        """Add the next frame, [..., H, W, 3], of any number of views."""
        self._last.append(images)
        if len(self._last) == 3:
            before, current, after = self._last
            self._total += (before - 2 * current + after).abs().mean().item()
            self._count += 1

    @property
    def mean(self) -> float | None:
        """Return the mean over frames, views, pixels and channels; None for fewer than three frames."""
        return self._total / self._count if self._count else None


def relative_flicker(views: TemporalDifferenceMeter, inputs: TemporalDifferenceMeter) -> float | None:
    """Return |log(views / inputs)| of mean second temporal differences: flicker without ground truth.

    It is 0 when the views change as unevenly as the input video does; it grows when they flicker, and when
    they are frozen while the input moves.

    Returns:
        The absolute logarithm; None if one of both has fewer than three frames.
    """
    if views.mean is None or inputs.mean is None:
        return None
    # added to both: two static videos have the ratio 1, and rounding errors count little
    return abs(math.log((views.mean + _MIN_CHANGE) / (inputs.mean + _MIN_CHANGE)))
