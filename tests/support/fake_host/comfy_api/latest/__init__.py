"""The newest version of that API."""

from . import io


class ComfyExtension:
    """What an entry point returns."""


__all__ = ["ComfyExtension", "io"]
