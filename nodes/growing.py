"""The scene as it grows: while STAG4D Optimize is at work, the viewers that wait for its scene show it."""

import time
from typing import Any

from server import PromptServer

from ..stag4d.scene import GaussianModel4D
from .host_files import temp_folder
from .preview import clip_name

EVENT = "stag4d.growing"  # web/js/stag4d.js listens
LEAST_SECONDS = 3.0  # between two clips
MOST_SHARE = 0.05  # of the time that packing them may take


class GrowingScene:
    """Clips of a scene that is being fitted, told to the page.

    Args:
        prompt: What is being executed, node ids to ``class_type`` and ``inputs``; None outside the host.
        node_id: The node that fits.
    """

    def __init__(self, prompt: dict[str, Any] | None, node_id: str | None) -> None:
        self._viewers = [
            other
            for other, node in (prompt or {}).items()
            if node["class_type"] == "STAG4DPreview" and node["inputs"].get("scene") == [node_id, 0]
        ]
        self._next = time.monotonic() + LEAST_SECONDS
        self._names: list[str] = []

    def show(self, model: GaussianModel4D) -> None:
        """Show the scene so far, if a viewer waits for it and the last one was shown long enough ago."""
        began = time.monotonic()
        if not self._viewers or began < self._next:
            return
        name = clip_name(model)
        if name not in self._names:
            self._names.append(name)
        told = {"viewers": self._viewers, "filename": name}
        PromptServer.instance.send_sync(EVENT, told, PromptServer.instance.client_id)
        self._forget(keep=2)  # the page may still be reading the one before
        now = time.monotonic()
        self._next = now + max(LEAST_SECONDS, (now - began) / MOST_SHARE)

    def close(self) -> None:
        """Remove the clips but for the last, which the page may be showing."""
        self._forget(keep=1)

    def _forget(self, keep: int) -> None:
        while len(self._names) > keep:
            (temp_folder() / self._names.pop(0)).unlink(missing_ok=True)
