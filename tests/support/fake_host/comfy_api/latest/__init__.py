"""The newest version of that API."""

from . import io, ui
from . import types as Types


class ComfyExtension:
    """Base class of node packs."""


__all__ = ["ComfyExtension", "Types", "io", "ui"]
