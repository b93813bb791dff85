"""Cameras as values of LOAD3D_CAMERA sockets, for ComfyUI's 3D nodes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch

from ...stag4d.geometry import camera_info
from ...stag4d.types import Cameras

_logger = logging.getLogger(__name__)
_HALF_PIXEL = 0.5  # Render Splat's own principal point differs by as much


def camera_info_output(cameras: Sequence[Cameras]) -> dict[str, Any] | list[dict[str, Any]]:
    """Return cameras as LOAD3D_CAMERA; a list only of several, as older nodes take a single one.

    Principal points beside the image's center, which a perspective value cannot hold, are logged.

    Args:
        cameras: Batches of any number and size.
    """
    infos = [
        camera_info(viewmat, K, batch.width, batch.height, batch.projection)
        for batch in cameras
        for viewmat, K in zip(batch.viewmats, batch.Ks, strict=True)
    ]
    _warn_of_principal_points(cameras, len(infos))
    return infos[0] if len(infos) == 1 else infos


def _warn_of_principal_points(cameras: Sequence[Cameras], count: int) -> None:
    """Log how many perspective cameras have a principal point beside the center, and the largest distance."""
    distances = [
        (batch.Ks[:, :2, 2] - torch.tensor([batch.width / 2, batch.height / 2]).to(batch.Ks)).norm(dim=1)
        for batch in cameras
        if batch.projection == "pinhole"
    ]
    beside = [distance for batch in distances for distance in batch.tolist() if distance > _HALF_PIXEL]
    if beside:
        _logger.warning(
            "camera_info: the principal points of %d of %d cameras are up to %.1f pixels from the image's "
            "center, which a LOAD3D_CAMERA cannot hold; use extrinsics and intrinsics where they matter.",
            len(beside),
            count,
            max(beside),
        )
