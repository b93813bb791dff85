"""Contents of nodes in the browser."""


class PreviewText:
    """Text on a node."""

    def __init__(self, value: str) -> None:
        self.value = value

    def as_dict(self) -> dict[str, tuple[str]]:
        return {"text": (self.value,)}
