"""Text on a node, below its widgets."""

from server import PromptServer


def show_text(text: str, node_id: str | None) -> None:
    """Show a text on the node of an id; None, as outside of a prompt, shows nothing."""
    if node_id is not None:
        PromptServer.instance.send_progress_text(text, node_id)
