"""ComfyUI's progress bar, previews on nodes and cancel button, as a monitor of the stag4d package."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.utils

from ...stag4d.progress import Interrupted, Preview
from ...stag4d.resume import Timer

READ_UPDATES = 100  # length of each pass over a video on the bar; the number of frames is not known before
_BAR_UPDATES = 200  # messages to the browser, at most, besides the previews


class HostInterrupted(Interrupted, comfy.model_management.InterruptProcessingException):
    """The user pressed cancel: the interrupt of the package, and of the host when it leaves a node."""


def check_cancel(
    stage: str, done: int, total: int, *, note: str = "", preview: Preview | None = None
) -> None:
    """Raise ``HostInterrupted`` if the user has pressed cancel: a monitor without a progress bar."""
    try:
        comfy.model_management.throw_exception_if_processing_interrupted()
    except comfy.model_management.InterruptProcessingException as error:
        raise HostInterrupted from error


class HostMonitor:
    """Updates a node's progress bar and preview; raises ``HostInterrupted`` if the user has pressed cancel.

    Args:
        show: Returns a PIL image for what a stage's preview returns, or None; None if nothing is shown.
        preview_seconds: Minimum time between two previews.
        preview_size: Longest side of the image on the node, pixels.
        stages: Length of each stage on the bar, in the order of the stages.

    Attributes:
        is_cancelled: Whether the user has pressed cancel; the host reports it only once.
    """

    def __init__(
        self,
        show: Callable[[Any], Any] | None = None,
        *,
        preview_seconds: float = 1.0,
        preview_size: int = 512,
        **stages: int,
    ) -> None:
        self.is_cancelled = False
        self._show, self._preview_size = show, preview_size
        self._timer = Timer(preview_seconds)
        self._starts = dict(zip(stages, itertools.accumulate(stages.values(), initial=0), strict=False))
        self._lengths, self._total = stages, sum(stages.values())
        self._bar = comfy.utils.ProgressBar(self._total)
        self._position = 0  # last sent to the browser

    def __call__(
        self, stage: str, done: int, total: int, *, note: str = "", preview: Preview | None = None
    ) -> None:
        """See ``progress.Monitor``."""
        position = self._starts[stage] + self._lengths[stage] * done // total
        try:
            comfy.model_management.throw_exception_if_processing_interrupted()
            if self._show is not None and preview is not None and self._timer.is_due():
                image = self._show(preview())
                self._update(position, None if image is None else ("JPEG", image, self._preview_size))
                self._timer.restart()  # the time that the preview took does not count
            elif position > self._position and (
                done == total or position - self._position >= max(self._total // _BAR_UPDATES, 1)
            ):
                self._update(position)
        except comfy.model_management.InterruptProcessingException as error:  # the bar raises it, too
            self.is_cancelled = True
            raise HostInterrupted from error

    def _update(self, position: int, image: tuple[str, Any, int] | None = None) -> None:
        """Send a position, and an image with its format and size, to the browser."""
        self._bar.update_absolute(position, self._total, image)
        self._position = position


class ReadMonitor:
    """A monitor of both passes over a video, which follow each other on the bar.

    A video is decoded for the times of its frames, and once more for the frames that are kept; both passes
    are of the stage ``read``.
    """

    def __init__(self) -> None:
        self._monitor = HostMonitor(times=READ_UPDATES, read=READ_UPDATES)
        self._pass = "times"

    def __call__(
        self, stage: str, done: int, total: int, *, note: str = "", preview: Preview | None = None
    ) -> None:
        """See ``progress.Monitor``."""
        self._monitor(self._pass, done, total, note=note, preview=preview)

    def begin_frames(self) -> None:
        """Begin the second pass."""
        self._pass = "read"


class PassesMonitor:
    """A monitor of several passes of the stage ``read``, each of which counts from its first frame.

    Args:
        num_passes: Their number.
    """

    def __init__(self, num_passes: int) -> None:
        self._monitor = HostMonitor(None, **{str(index): READ_UPDATES for index in range(num_passes)})
        self._num_passes, self._pass, self._done = num_passes, 0, 0

    def __call__(
        self, stage: str, done: int, total: int, *, note: str = "", preview: Preview | None = None
    ) -> None:
        """See ``progress.Monitor``."""
        if done <= self._done:
            self._pass = min(self._pass + 1, self._num_passes - 1)
        self._done = done
        self._monitor(str(self._pass), done, total, note=note, preview=preview)
