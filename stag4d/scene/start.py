"""Given Gaussians to start a fit from: those that are not finite are dropped, those out of sight refused."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from ..types import Cameras
from .gaussians import Gaussians, check_values

_logger = logging.getLogger(__name__)

_EXTENT = 3.0  # standard deviations to which a Gaussian counts as visible
_NEAR = 1e-2  # camera depth in front of which nothing is rendered, world units
_MAX_DEPTH = 3.0  # distances of a camera from the origin: what is farther away is not the object
_MAX_SHARE_OUTSIDE = 0.5  # above which a start is probably misplaced


def checked_start(start: Gaussians, cameras: Sequence[Cameras]) -> Gaussians:
    """Return the usable Gaussians of a start.

    Gaussians with values that are not finite are dropped, which is logged.

    Args:
        start: Raw parameters, world coordinates.
        cameras: Cameras of the views, one each, on the same device.

    Returns:
        The start itself if all of it is usable.

    Raises:
        ValueError: if nothing is left, a value is out of range, or all Gaussians lie outside every view, or
            at more than three times the distance of the origin.
    """
    if len(start) == 0:
        raise ValueError("start: no Gaussians; expected at least one.")
    is_finite = torch.ones(len(start), dtype=torch.bool, device=start.means.device)
    for value in start.as_dict().values():
        is_finite &= value.reshape(len(start), -1).isfinite().all(dim=1)
    num_bad = int((~is_finite).sum())
    if num_bad == len(start):
        raise ValueError(
            f"start: all {num_bad} Gaussians have values that are not finite; expected at least one without."
        )
    if num_bad:
        _logger.warning(
            "start: %d of %d Gaussians have values that are not finite; they are dropped.",
            num_bad,
            len(start),
        )
        start = start.map(lambda value: value[is_finite])
    check_values(start.as_dict(), "start")
    _check_visible(start, cameras)
    return start


def _check_visible(start: Gaussians, cameras: Sequence[Cameras]) -> None:
    """Raise ValueError if no Gaussian reaches into a view; log a warning if most do not."""
    is_visible = torch.zeros(len(start), dtype=torch.bool, device=start.means.device)
    for camera in cameras:
        is_visible |= _is_visible(start, camera)
    num_outside = int((~is_visible).sum())
    if num_outside > _MAX_SHARE_OUTSIDE * len(start):
        visible_radius = max(_visible_radius(camera) for camera in cameras)
        center = start.means.mean(dim=0)
        reach = (start.means - center).norm(dim=-1).max().item()
        place = ", ".join(f"{value:.3g}" for value in center.tolist())
        message = (
            f"start: {num_outside} of {len(start)} Gaussians lie outside every view. They are around "
            f"({place}), up to {reach:.3g} units from there; the views show what is within "
            f"{visible_radius:.3g} units of (0, 0, 0). Move or scale them to the object."
        )
        if num_outside == len(start):
            raise ValueError(message)
        _logger.warning("%s", message)


def _is_visible(start: Gaussians, camera: Cameras) -> Tensor:
    """Return whether each Gaussian reaches into the image of one camera, and is not far behind, [N]."""
    pixels, depths = camera.project(start.means)  # [N, 2], [N]
    distances = depths.clamp_min(_NEAR) if camera.projection == "pinhole" else torch.ones_like(depths)
    margins = _EXTENT * start.scales.amax(dim=-1) / distances * camera.Ks[0, 0, 0]  # [N]
    size = pixels.new_tensor([camera.width, camera.height])
    is_inside = (pixels > -margins[:, None]) & (pixels < size + margins[:, None])  # [N, 2]
    farthest = _MAX_DEPTH * camera.centers[0].norm()
    return is_inside.all(dim=-1) & (depths > _NEAR) & (depths < farthest)


def _visible_radius(camera: Cameras) -> float:
    """Return the distance from the origin that a view shows beside it, world units."""
    distance = camera.centers[0].norm() if camera.projection == "pinhole" else 1.0
    return float(distance * camera.width / 2 / camera.Ks[0, 0, 0])
