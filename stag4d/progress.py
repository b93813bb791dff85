"""Progress and cancellation of long work: one protocol for the commands, the nodes and scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Preview = Callable[[], Any]
"""Makes a preview of what a stage has reached, which costs time: it is called only where one is shown."""


class Interrupted(Exception):
    """The user cancelled; monitors raise it, and what was reached by then is kept."""


class Monitor(Protocol):
    """Called by long work after every unit of it."""

    def __call__(
        self, stage: str, done: int, total: int, *, note: str = "", preview: Preview | None = None
    ) -> None:
        """Take note of progress.

        Args:
            stage: What is being done: ``encode``, ``denoise``, ``decode``, ``guidance``, ``optimize``,
                ``render``, ``evaluate``, ``crop`` or ``export``.
            done: Units of the stage that are done, frames or optimization steps.
            total: Units of the whole stage.
            note: What else is worth showing, such as the loss.
            preview: Makes what can be shown: an image [H, W, 3] of the views that are being generated, or the
                scene that is being optimized.

        Raises:
            Interrupted: if the user has cancelled.
        """
        ...


def silent(stage: str, done: int, total: int, *, note: str = "", preview: Preview | None = None) -> None:
    """Do nothing: the monitor of calls that nobody watches."""
