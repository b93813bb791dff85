"""Text on a node, below its widgets."""

from __future__ import annotations

from comfy_api.latest import ui
from server import PromptServer


def show_text(text: str, node_id: str | None) -> ui.PreviewText | None:
    """Show a text on a node, and return the node's ``ui`` output with it; None for an empty text.

    The output alone keeps the text in the history of prompts, but the browser shows it on few of the host's
    own nodes only.

    Args:
        text: The text.
        node_id: Id of the node; None, as outside of a prompt, shows nothing.
    """
    if not text:
        return None
    if node_id is not None:
        PromptServer.instance.send_progress_text(text, node_id)
    return ui.PreviewText(text)
