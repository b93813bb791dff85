"""Live preview: while STAG4D Optimize runs, the STAG4D Preview nodes connected to it show its scene."""

import logging
import time
from contextlib import suppress
from typing import Any

from server import PromptServer

from ...stag4d.progress import Monitor
from ...stag4d.scene import GaussianModel4D
from .file_metadata import sent_workflow
from .files import temp_folder
from .prompt_graph import targets
from .viewer_files import viewer_file

_logger = logging.getLogger(__name__)

EVENT = "stag4d.live_preview"  # LIVE_PREVIEW in web/js/stag4d.js
MIN_SECONDS = 3.0  # between two updates
MAX_SHARE = 0.05  # of the fit's time that encoding may take


class LivePreview:
    """Sends the scene of a running fit to the STAG4D Preview nodes in the browser.

    Args:
        prompt: The executed prompt, ``class_type`` and ``inputs`` by node id; None outside the host.
        node_id: Id of the node that runs the fit.
        extra_pnginfo: What the client sent with the prompt, see ``sent_workflow``.
    """

    def __init__(
        self,
        prompt: dict[str, Any] | None,
        node_id: str | None,
        extra_pnginfo: Any,
    ) -> None:
        self._viewers = [other for other, _ in targets(prompt, node_id, 0, "STAG4DPreview", "scene")]
        workflow = sent_workflow(extra_pnginfo)
        self._workflow = workflow.get("id") if isinstance(workflow, dict) else None
        self._next = time.monotonic() + MIN_SECONDS
        self._names: list[str] = []

    def show(self, model: GaussianModel4D, monitor: Monitor) -> None:
        """Send the current scene if a Preview node is connected and the last update is long enough ago.

        A scene that cannot be encoded does not end the fit: the error is logged, and the updates stop.

        Args:
            model: The scene.
            monitor: Called after each frame that is encoded.
        """
        began = time.monotonic()
        if not self._viewers or began < self._next:
            return
        try:
            name = viewer_file(model, monitor)
        except (ValueError, RuntimeError, OSError, MemoryError) as error:
            _logger.warning("The live preview stops: %s", error)
            self._viewers = []
            return
        if name not in self._names:
            self._names.append(name)
        message = {"viewers": self._viewers, "filename": name, "workflow": self._workflow}
        PromptServer.instance.send_sync(EVENT, message, PromptServer.instance.client_id)
        self._remove_files(keep=2)  # the browser may still be loading the previous one
        now = time.monotonic()
        self._next = now + max(MIN_SECONDS, (now - began) / MAX_SHARE)

    def close(self) -> None:
        """Remove all files but the newest, which a viewer may be showing."""
        self._remove_files(keep=1)

    def _remove_files(self, keep: int) -> None:
        """Remove all files but the newest ``keep``."""
        while len(self._names) > keep:
            with suppress(OSError):  # open files on Windows; the host empties its temp folder at start
                (temp_folder() / self._names.pop(0)).unlink(missing_ok=True)
