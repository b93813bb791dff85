"""Outputs that a node shows on the page."""


class PreviewText:
    """Text below the node."""

    def __init__(self, value: str) -> None:
        self.value = value

    def as_dict(self) -> dict[str, tuple[str]]:
        return {"text": (self.value,)}
