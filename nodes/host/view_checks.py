"""Checks of the inputs of nodes that make view sets, before and after the views are made."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import ui

from ...stag4d.geometry import CAMERA_RIGS, CameraRig, ViewOrder
from ...stag4d.pipeline import ReferenceVideo, check_camera_sockets, check_reference, check_rig
from ...stag4d.view_set import ViewSet
from .node_text import show_text
from .progress import check_cancel
from .validation import UNCONNECTED
from .view_widgets import CAMERAS, CUSTOM, CustomRig, numbers

SOCKETS = ("camera_info", "extrinsics", "intrinsics")


def check_cameras(values: dict[str, Any], *, has_reference: bool) -> CameraRig | None:
    """Raise ValueError if the cameras of views are invalid, as far as the widgets tell.

    Args:
        values: Arguments of ``validate_inputs``: None for a value that is not known yet, and ``UNCONNECTED``
            for a socket that is not connected.
        has_reference: Whether there will be frames of the video.

    Returns:
        The rig, if it is known.
    """
    name = values["rig"]
    connected = {socket: values[socket] is not UNCONNECTED for socket in SOCKETS}
    if name == CAMERAS:
        check_camera_sockets(*connected.values())
        return None
    for socket, is_connected in connected.items():
        if is_connected and name is not None:
            raise ValueError(f"{socket}: connected, but rig is {name}; expected rig cameras.")
    rig = CAMERA_RIGS.get(name) if name != CUSTOM else _custom_rig(values)
    use, elevation = values["reference_use"], values["input_elevation"]
    if rig is not None and use is not None and elevation is not None:
        check_reference(rig, ReferenceVideo(elevation_deg=elevation, use=use), has_frames=has_reference)
    return rig


def _custom_rig(values: dict[str, Any]) -> CameraRig | None:
    """Return rig custom, or None if one of its lists or its projection is not known yet."""
    for name in ("azimuths", "elevations"):
        if values[name] is not None:
            numbers(name, values[name])
    if None in (values["azimuths"], values["elevations"], values["projection"]):
        return None
    return CustomRig(
        azimuths=values["azimuths"], elevations=values["elevations"], projection=values["projection"]
    ).rig()


def check_arrangement(views: ViewSet, order: ViewOrder | None, node_id: str | None) -> ui.PreviewText | None:
    """Check cameras and order of views by the silhouettes, and show on the node what fits them better.

    Args:
        views: The set.
        order: Order in which the images came; None if each view came by itself.
        node_id: Id of the node.

    Returns:
        The ``ui`` output of the node; None if nothing fits better.
    """
    given, better = check_rig(views, order, check=lambda: check_cancel("check", 0, 1))
    if better is None:
        return None
    return show_text(
        f"The cameras explain {given.median:.0%} of the silhouettes; {better.name} would explain "
        f"{better.median:.0%}.",
        node_id,
    )
