"""Numbers of images and views that a prompt determines before the nodes that make them have run."""

from __future__ import annotations

from ...stag4d.geometry import CAMERA_RIGS
from .prompt_graph import Prompt, source, source_of, targets

_MAKERS_OF_FRAMES = ("STAG4DPrepareFrames", "STAG4DSampleObject", "STAG4DLoadVideo")


def most_frames(prompt: Prompt | None, node_id: str | None, name: str) -> int | None:
    """Return the most images that an input will get; None if it is not known.

    Args:
        prompt: The prompt that runs; None outside of the host.
        node_id: Id of the node that has the input.
        name: Name of the input.
    """
    kind, inputs, output = source(prompt, node_id, name)
    count = inputs.get("num_frames")  # of Prepare Frames and Load Video, 0 keeps all
    is_known = kind in _MAKERS_OF_FRAMES and output == 0
    return count if is_known and isinstance(count, int) and count > 0 else None


def num_renders(prompt: Prompt | None, node_id: str | None, name: str) -> int | None:
    """Return the number of images that an input will get from STAG4D Render; see ``most_frames``."""
    kind, inputs, _ = source(prompt, node_id, name)
    if kind != "STAG4DRender" or inputs.get("time_mode") == "view by view":  # all frames from each camera
        return None
    kind, inputs, _ = source_of(inputs.get("cameras"), prompt)
    if inputs.get("mode") == "camera":  # its socket may give a list of cameras
        return None
    count = inputs.get("num_cameras")  # a single camera renders each frame of the scene
    return count if kind == "STAG4DCameraPath" and isinstance(count, int) and count > 1 else None


def check_angles(prompt: Prompt | None, node_id: str | None, output: int, num_views: int) -> None:
    """Raise ValueError if STAG4D Views from Images expects other views than it will get.

    Args:
        prompt: The prompt that runs; None outside of the host.
        node_id: Id of the node that generates the views, frame by frame.
        output: Number of its output with one image per view.
        num_views: Views of each frame.
    """
    for _, inputs in targets(prompt, node_id, output, "STAG4DViewsFromImages", "views"):
        rig, azimuths = inputs.get("rig", "custom"), inputs.get("azimuths")
        preset = CAMERA_RIGS.get(rig) if isinstance(rig, str) else None
        if preset is not None and preset.num_images != num_views:
            raise ValueError(
                f"views: {num_views} of each frame are generated, and rig {rig} of STAG4D Views from Images "
                f"has {preset.num_images}; expected a rig of {num_views}."
            )
        if rig == "custom" and isinstance(azimuths, str) and len(azimuths.split(",")) != num_views:
            raise ValueError(
                f"views: {num_views} of each frame are generated, and azimuths of STAG4D Views from Images "
                f"has {len(azimuths.split(','))} angles; expected one per view."
            )
        order = inputs.get("order", "from the rig")
        if order == "view by view" or (order == "from the rig" and preset and preset.order == "view by view"):
            raise ValueError(
                "views: generated frame by frame, and order of STAG4D Views from Images is view by view; "
                "expected frame by frame."
            )
