"""The newest version of that API."""

from . import io, ui
from . import types as Types


class ComfyExtension:
    """What an entry point returns."""


__all__ = ["ComfyExtension", "Types", "io", "ui"]
