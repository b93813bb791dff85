"""The ComfyUI nodes: each one a schema and a short ``execute`` around one call of the package next door.

Node ids, input ids and the order of widgets are part of every workflow that users have saved: they never
change, and new widgets go to the end.
"""

from comfy_api.latest import ComfyExtension, io

from .camera_path import STAG4DCameraPath
from .render import STAG4DRender
from .scene_files import STAG4DLoad


class Extension(ComfyExtension):
    """The pack, as the host asks for it."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Return the node classes in the order of a typical graph."""
        return [STAG4DLoad, STAG4DCameraPath, STAG4DRender]


async def comfy_entrypoint() -> Extension:
    """Return the pack; the host calls this once at start."""
    return Extension()
