"""Fits of the single frames of a video: the view set and the optimization config of one."""

from __future__ import annotations

from dataclasses import replace

from stag4d.optimization import OptimizationConfig
from stag4d.view_set import ViewSet


def single_frame(views: ViewSet, frame: int) -> ViewSet:
    """Return one frame and its views as a view set of one frame."""
    one = slice(frame, frame + 1)
    return ViewSet.from_orbit(
        views.images[one],
        views.alphas[one],
        views.view_images[one],
        views.view_alphas[one],
        views.input_pose,
        views.view_poses,
        views.fps,
    )


def config_of_single_frame(config: OptimizationConfig, num_frames: int) -> OptimizationConfig:
    """Return the config of the fit of each frame, as the video's has it, with one frame per step.

    The frames have in total as many steps as they have in the fit of the video, and as many densifications.
    """
    steps = max(config.steps * config.batch.num_frames // num_frames, 1)
    every = max(config.densification.every * steps // config.steps, 1)
    return replace(
        config,
        steps=steps,
        batch=replace(config.batch, num_frames=1, static_until=0.0),
        densification=replace(config.densification, every=every),
    )
