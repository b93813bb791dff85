"""A few views of a toy, and fits of them that take milliseconds per step."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from stag4d.optimization import (
    BatchConfig,
    DensificationConfig,
    LearningRates,
    LogLinear,
    LossWeights,
    OptimizationConfig,
    RegularizerWeights,
    StartConfig,
    preset,
)
from stag4d.scene import FieldConfig
from stag4d.toys import toy_views
from stag4d.view_set import ViewSet


@functools.cache
def small_view_set(num_frames: int = 3, size: int = 24) -> ViewSet:
    """Return a few frames of a toy, each with six posed views."""
    return toy_views(3, num_frames, size)


def small_config(steps: int = 20, size: int = 24, seed: int = 0, **parts: Any) -> OptimizationConfig:
    """Return the config of a small fit, independent of the presets, with the given fields replaced."""

    def falling(value: float) -> LogLinear:
        return LogLinear(start=value, end=value / 10)

    small = replace(
        preset("fast", steps=steps, size=size, seed=seed),
        start=StartConfig(kind="ball", num_points=100, bound=0.5),
        field=FieldConfig(
            resolutions=(8,), time_resolution=4, num_channels=4, width=16, deform_scales=True, bound=1.0
        ),
        rates=LearningRates(
            means=falling(5e-3),
            log_scales=falling(1e-2),
            quats=falling(5e-3),
            opacities=falling(5e-2),
            colors=falling(1e-2),
            planes=falling(1e-2),
            mlp=falling(2e-3),
        ),
        losses=LossWeights(),
        regularizers=RegularizerWeights(time_smoothness=0.01, scale_cap=1.0, max_scale=0.1),
        batch=BatchConfig(num_frames=2, num_views=2, static_until=0.2, background="random", sizes=()),
        densification=DensificationConfig(strategy=None),
    )
    return replace(small, **parts)


def shrunk(config: Any, num_points: int = 300) -> Any:
    """Return a config with few Gaussians and small planes, and all else of the given one.

    The config may be of another copy of the package, as ComfyUI imports the pack's.
    """
    return replace(
        config,
        start=replace(config.start, num_points=num_points),
        field=replace(config.field, resolutions=(8, 16), num_channels=4, width=16),
    )
