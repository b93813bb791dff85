"""Entry for ComfyUI, which imports this folder as a package. Without ComfyUI there is nothing to enter.

The host is looked up, not tried: an error inside the nodes must reach the host's log as it is.
"""

from importlib.util import find_spec

WEB_DIRECTORY = "./web"
__all__ = ["WEB_DIRECTORY"]

if find_spec("comfy_api") is not None:
    from .nodes import comfy_entrypoint

    __all__ += ["comfy_entrypoint"]
