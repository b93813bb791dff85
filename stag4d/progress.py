"""Progress and cancellation of long work: one protocol for the commands, the nodes and scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Preview = Callable[[], Any]
"""Returns a preview of a stage's state; it costs time, so it is called only if it will be displayed."""


Check = Callable[[], object]
"""Called often within one unit of work; raises an exception, usually ``Interrupted``, to cancel it."""


class Interrupted(Exception):
    """Raised by a monitor when the user has cancelled; long work then stops and keeps its state."""


class Monitor(Protocol):
    """Callback that long-running functions call after every unit of work, and within units that take long.

    Stages whose units take seconds also call it before the first one.
    """

    def __call__(
        self, stage: str, done: int, total: int, *, note: str = "", preview: Preview | None = None
    ) -> None:
        """Report progress.

        Args:
            stage: Name of the stage: ``load``, ``encode``, ``denoise``, ``decode``, ``guidance``, ``start``,
                ``optimize``, ``render``, ``normals``, ``page``, ``turntable``, ``evaluate``, ``read``,
                ``crop``, ``rembg``, ``export`` or ``import``.
            done: Number of units done, such as frames or optimization steps; of a resumed stage also those
                before the interrupt. It is the same in several calls where a unit takes long.
            total: Number of units of the whole stage.
            note: Text to show beside the progress, such as the loss.
            preview: Returns an image [H, W, 3] of the views that are being generated, or the scene that is
                being optimized.

        Raises:
            Interrupted: if the user has cancelled.
        """
        ...


def silent(stage: str, done: int, total: int, *, note: str = "", preview: Preview | None = None) -> None:
    """Do nothing; the default monitor."""


def never_cancel() -> None:
    """Do nothing; the default check."""
