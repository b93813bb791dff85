"""The latest version of the node API."""

from . import io, ui
from . import types as Types


class ComfyExtension:
    """The base class of what ``comfy_entrypoint`` returns."""


__all__ = ["ComfyExtension", "Types", "io", "ui"]
