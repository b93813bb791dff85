"""ComfyUI's server; it records the messages to the browser."""

from typing import Any, ClassVar


class PromptServer:
    """The server."""

    instance: ClassVar["PromptServer"]
    client_id: str | None = None

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any, str | None]] = []

    def send_sync(self, event: str, data: Any, sid: str | None = None) -> None:
        """Record a message: event, data and client."""
        self.sent.append((event, data, sid))

    def send_progress_text(self, text: str, node_id: str, sid: str | None = None) -> None:
        """Record a text that is shown on a node."""
        self.send_sync("text", (node_id, text), sid)


PromptServer.instance = PromptServer()
