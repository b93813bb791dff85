"""The Gaussians that an optimization starts from: given ones, or those of the configuration."""

from __future__ import annotations

import torch

from ..scene import Gaussians, checked_start, random_ball, visual_hull
from .config import StartConfig
from .training_views import TrainingViews


def initial_gaussians(
    views: TrainingViews, config: StartConfig, given: Gaussians | None, generator: torch.Generator
) -> Gaussians:
    """Return the Gaussians to start from.

    Args:
        views: The given images; their middle frame is used, the only one that the static phase renders.
        config: Initialization where none are given.
        given: Gaussians to start from instead.
        generator: Random generator of the configured initialization.

    Returns:
        The configured ones on the CPU, the given ones on their device.

    Raises:
        ValueError: if none of the given Gaussians can be used, see ``checked_start``.
    """
    if given is None and config.kind == "ball":
        return random_ball(config.num_points, config.bound, generator)
    rgba, cameras = zip(*views.views_at(views.num_frames // 2), strict=True)  # [H, W, 4] each
    if given is not None:
        return checked_start(given, [camera.to(given.means.device) for camera in cameras])
    alphas = [image[..., 3] for image in rgba]
    images = [image[..., :3] / image[..., 3:].clamp_min(1e-3) for image in rgba]  # straight colors
    return visual_hull(images, alphas, list(cameras), config.num_points, config.bound, generator)
