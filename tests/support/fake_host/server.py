"""The stand-in for the host's server: it remembers what it was asked to tell the page."""

from typing import Any, ClassVar


class PromptServer:
    """The one server."""

    instance: ClassVar["PromptServer"]
    client_id: str | None = None

    def __init__(self) -> None:
        self.told: list[tuple[str, Any, str | None]] = []

    def send_sync(self, event: str, data: Any, sid: str | None = None) -> None:
        """Remember a message."""
        self.told.append((event, data, sid))


PromptServer.instance = PromptServer()
