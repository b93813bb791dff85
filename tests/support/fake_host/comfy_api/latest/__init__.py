"""The newest version of that API."""

from . import io, ui
from . import types as Types
from .types import Input, InputImpl


class ComfyExtension:
    """Base class of node packs."""


__all__ = ["ComfyExtension", "Input", "InputImpl", "Types", "io", "ui"]
