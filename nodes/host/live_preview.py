"""The scene as it grows: while STAG4D Optimize is at work, the viewers that wait for its scene show it."""

import logging
import time
from contextlib import suppress
from typing import Any

from server import PromptServer

from ...stag4d.scene import GaussianModel4D
from .files import temp_folder
from .progress import check_cancel
from .viewer_files import viewer_file

_logger = logging.getLogger(__name__)

EVENT = "stag4d.growing"  # web/js/stag4d.js listens
LEAST_SECONDS = 3.0  # between two clips
MOST_SHARE = 0.05  # of the time that packing them may take


class GrowingScene:
    """Clips of a scene that is being fitted, told to the page.

    Args:
        prompt: What is being executed, node ids to ``class_type`` and ``inputs``; None outside the host.
        node_id: The node that fits.
        extra_pnginfo: What the page sent with the prompt, its workflow for instance; None where it sent none.
    """

    def __init__(
        self,
        prompt: dict[str, Any] | None,
        node_id: str | None,
        extra_pnginfo: dict[str, Any] | None,
    ) -> None:
        self._viewers = [
            other
            for other, node in (prompt or {}).items()
            if node["class_type"] == "STAG4DPreview" and node["inputs"].get("scene") == [node_id, 0]
        ]
        workflow = (extra_pnginfo or {}).get("workflow")
        self._workflow = workflow.get("id") if isinstance(workflow, dict) else None
        self._next = time.monotonic() + LEAST_SECONDS
        self._names: list[str] = []

    def show(self, model: GaussianModel4D) -> None:
        """Show the scene so far, if a viewer waits for it and the last one was shown long enough ago.

        A scene that cannot be shown is no reason to lose a fit: it is logged, and no more are shown.
        """
        began = time.monotonic()
        if not self._viewers or began < self._next:
            return
        try:
            name = viewer_file(model, check_cancel)
        except (ValueError, RuntimeError, OSError, MemoryError) as error:
            _logger.warning("The scene is not shown while it grows: %s", error)
            self._viewers = []
            return
        if name not in self._names:
            self._names.append(name)
        told = {"viewers": self._viewers, "filename": name, "workflow": self._workflow}
        PromptServer.instance.send_sync(EVENT, told, PromptServer.instance.client_id)
        self._forget(keep=2)  # the page may still be reading the one before
        now = time.monotonic()
        self._next = now + max(LEAST_SECONDS, (now - began) / MOST_SHARE)

    def close(self) -> None:
        """Remove the clips but for the last, which the page may be showing."""
        self._forget(keep=1)

    def _forget(self, keep: int) -> None:
        while len(self._names) > keep:
            with suppress(OSError):  # a file that is being read; it goes with the host's temp folder
                (temp_folder() / self._names.pop(0)).unlink(missing_ok=True)
