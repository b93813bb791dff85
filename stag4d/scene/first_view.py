"""The first camera of a scene in the viewer: one that shows the whole object at all frames.

The same rule as in ``web/viewer/bounds.mjs``, which computes it from a subset of the Gaussians.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ..geometry import OrbitPose, SavedView, orbit_viewmats
from .model import GaussianModel4D

_QUANTILE = 0.98  # of coordinates, distances and centers in the image; the others are outliers
_MIN_OPACITY = 0.05
_MAX_FRAMES = 32
_MARGIN = 1.1  # distance of the camera, relative to the closest that shows the whole bounding sphere
_SMALLEST_SPHERE = 1e-3  # radius, world units
_NEAREST, _FARTHEST = 0.05, 1e6  # radius of the viewer's cameras, world units


@torch.no_grad()
def first_view(model: GaussianModel4D, aspect: float) -> SavedView:
    """Return the input camera or, where it does not show the whole object at all frames, one that does.

    Args:
        model: The scene.
        aspect: Width of the image by its height.

    Returns:
        The camera at time 0. It has the direction and field of view of the input camera.
    """
    pose = model.info.input_pose
    frames = list(_opaque_means(model))
    if all(_shows(means, pose, aspect) for means in frames):
        return SavedView(pose=pose)
    center, radius = _bounding_sphere(frames)
    half_y = math.radians(pose.fovy_deg) / 2
    half = min(half_y, math.atan(math.tan(half_y) * aspect))
    distance = min(max(_MARGIN * radius / math.sin(half), _NEAREST), _FARTHEST)
    x, y, z = center.tolist()
    return SavedView(pose=replace(pose, radius=distance), target=(x, y, z))


def _opaque_means(model: GaussianModel4D) -> Iterator[Tensor]:
    """Yield the centers [N, 3] of the visible Gaussians at some frames, the first and the last among them."""
    times = model.frame_times
    chosen = torch.linspace(0, len(times) - 1, min(len(times), _MAX_FRAMES)).round().long()
    for time in times[chosen.to(times.device)]:
        gaussians = model.at(time[None])[0]
        visible = gaussians.opacities >= _MIN_OPACITY
        means = gaussians.means[visible] if visible.any() else gaussians.means
        yield means.double().cpu()


def _shows(means: Tensor, pose: OrbitPose, aspect: float) -> bool:
    """Return whether a camera's image holds nearly all of some points [N, 3]."""
    viewmat = orbit_viewmats([pose])[0].to(means)
    x, y, z = (means @ viewmat[:3, :3].T + viewmat[:3, 3]).unbind(dim=-1)
    reach = z * math.tan(math.radians(pose.fovy_deg) / 2)
    inside = (x.abs() <= reach * aspect) & (y.abs() <= reach)
    return bool(inside.double().mean() >= _QUANTILE)


def _bounding_sphere(frames: list[Tensor]) -> tuple[Tensor, float]:
    """Return center [3] and radius of a sphere around nearly all points [N, 3] of each frame."""
    low = torch.stack([_quantile(means, 1 - _QUANTILE) for means in frames]).amin(dim=0)
    high = torch.stack([_quantile(means, _QUANTILE) for means in frames]).amax(dim=0)
    center = (low + high) / 2
    radii = [_quantile((means - center).norm(dim=-1, keepdim=True), _QUANTILE).item() for means in frames]
    return center, max(*radii, _SMALLEST_SPHERE)


def _quantile(values: Tensor, q: float) -> Tensor:
    """Return a quantile of each column of values [N, D], without interpolation."""
    return values.sort(dim=0).values[math.floor(q * (len(values) - 1) + 0.5)]
