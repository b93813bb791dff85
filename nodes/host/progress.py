"""The host's progress bar, live previews and cancel, as a monitor of the package."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.utils

from ...stag4d.progress import Interrupted, Preview
from ...stag4d.resume import Timer

_BAR_STEPS = 200  # messages to the page, at most


class HostInterrupted(Interrupted, comfy.model_management.InterruptProcessingException):
    """The user pressed cancel: an interrupt for the package, and for the host when it leaves a node."""


def check_cancel(
    stage: str, done: int, total: int, *, note: str = "", preview: Preview | None = None
) -> None:
    """Raise ``HostInterrupted`` when the user has pressed cancel: a monitor without a bar."""
    try:
        comfy.model_management.throw_exception_if_processing_interrupted()
    except comfy.model_management.InterruptProcessingException as error:
        raise HostInterrupted from error


class HostMonitor:
    """Moves a node's progress bar; raises ``HostInterrupted`` when the user has pressed cancel.

    Args:
        show: Returns an image (PIL) for the node from what a stage's preview returns, or None.
        preview_seconds: Least time between two previews.
        preview_size: Longest side of the image on the node, pixels.
        stages: Share of each stage in the bar, in the order of the stages.
    """

    def __init__(
        self,
        show: Callable[[Any], Any] | None = None,
        *,
        preview_seconds: float = 1.0,
        preview_size: int = 512,
        **stages: int,
    ) -> None:
        self._show, self._preview_size = show, preview_size
        self._timer = Timer(preview_seconds)
        self._starts = dict(zip(stages, itertools.accumulate(stages.values(), initial=0), strict=False))
        self._shares, self._total = stages, sum(stages.values())
        self._bar = comfy.utils.ProgressBar(self._total)
        self._position = 0  # that the page knows

    def __call__(
        self, stage: str, done: int, total: int, *, note: str = "", preview: Preview | None = None
    ) -> None:
        """See ``progress.Monitor``."""
        check_cancel(stage, done, total)
        position = self._starts[stage] + self._shares[stage] * done // total
        try:
            if self._show is not None and preview is not None and self._timer.is_due():
                image = self._show(preview())
                picture = None if image is None else ("JPEG", image, self._preview_size)
                self._bar.update_absolute(position, self._total, picture)
                self._position = position
                self._timer.restart()  # the preview's own time does not count
            elif done == total or position - self._position >= max(self._total // _BAR_STEPS, 1):
                self._bar.update_absolute(position, self._total)
                self._position = position
        except comfy.model_management.InterruptProcessingException as error:
            raise HostInterrupted from error
