"""How much pictures flicker: how they change from frame to frame, against how they should.

A frozen clip does not flicker and is still wrong, so both measures compare changes instead of adding them up.
"""

from __future__ import annotations

import math
from collections import deque

import torch
from torch import Tensor

_FAINTEST = 1e-3  # mean change that counts as none, a quarter of an 8-bit level


def flicker(images: Tensor, truth: Tensor) -> Tensor:
    """Return mean |dt(images) - dt(truth)| over mean |dt(truth)|: how wrong changes between frames are.

    Args:
        images: [..., F, H, W, 3], two frames or more.
        truth: The same shape.

    Returns:
        [...]; 0 for the true changes, 1 for a frozen clip.

    Raises:
        ValueError: if the shapes differ or there is only one frame.
    """
    if images.shape != truth.shape or images.ndim < 4 or images.shape[-4] < 2:
        raise ValueError(
            f"flicker: clips of shape {list(images.shape)} and {list(truth.shape)}; expected one shape "
            "[..., F, H, W, 3] with two frames or more."
        )
    meter = FlickerMeter()
    for frame in range(images.shape[-4]):
        meter.add(images[..., frame, :, :, :], truth[..., frame, :, :, :])
    return meter.values()


class FlickerMeter:
    """``flicker`` of clips whose frames come one by one."""

    def __init__(self) -> None:
        self._last: tuple[Tensor, Tensor] | None = None
        self._errors: Tensor | float = 0.0
        self._changes: Tensor | float = 0.0
        self._count = 0

    def add(self, images: Tensor, truth: Tensor) -> None:
        """Take the next frame of clips and of their truth, [..., H, W, 3] each."""
        if self._last is not None:
            change, true_change = images - self._last[0], truth - self._last[1]
            self._errors = self._errors + (change - true_change).abs().double().mean(dim=(-3, -2, -1))
            self._changes = self._changes + true_change.abs().double().mean(dim=(-3, -2, -1))
            self._count += 1
        self._last = images, truth

    def values(self) -> Tensor:
        """Return the flicker of each clip, [...]; where the truth hardly moves, over the faintest change."""
        errors, changes = torch.as_tensor(self._errors), torch.as_tensor(self._changes)
        return errors / changes.clamp_min(_FAINTEST * self._count)


class UnrestMeter:
    """Mean second difference in time, of pictures whose frames come one by one; even motion has little."""

    def __init__(self) -> None:
        self._last: deque[Tensor] = deque(maxlen=3)
        self._total = 0.0
        self._count = 0

    def add(self, images: Tensor) -> None:
        """Take the next frame, of any number of views, [..., H, W, 3]."""
        self._last.append(images)
        if len(self._last) == 3:
            before, here, after = self._last
            self._total += (before - 2 * here + after).abs().mean().item()
            self._count += 1

    @property
    def mean(self) -> float | None:
        """Return the mean over frames and pixels; None for less than three frames, which cannot tell."""
        return self._total / self._count if self._count else None


def relative_flicker(views: UnrestMeter, inputs: UnrestMeter) -> float | None:
    """Return |log| of the views' unrest over the input's, where there is no truth; None if they cannot tell.

    0 when the views change as unevenly as the input; large when they flicker, and when they stand still while
    it moves.
    """
    if views.mean is None or inputs.mean is None:
        return None
    return abs(math.log((views.mean + _FAINTEST) / (inputs.mean + _FAINTEST)))
