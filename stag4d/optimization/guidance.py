"""The slot of score distillation: what a posed image prior has to offer, and where its views are drawn.

The prior is an argument; this package knows none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..geometry import OrbitPose


@dataclass(frozen=True, kw_only=True)
class GuidanceConfig:
    """Random views of one step that a prior judges.

    One view is rendered of every frame of the step (official: 4).

    Attributes:
        weight: Weight of the prior's loss (official: 1).
        max_elevation_deg: Elevations are uniform within plus and minus this (official: 30).
    """

    weight: float = 1.0
    max_elevation_deg: float = 30.0

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError with the offending value."""
        if not self.weight >= 0 or not 0 <= self.max_elevation_deg <= 89:
            raise ValueError(f"guidance: {self}; weight must not be negative, max_elevation_deg in 0 to 89.")


class ImagePrior(Protocol):
    """A differentiable opinion on renders from poses that no picture shows."""

    def loss(
        self,
        images: Tensor,
        frames: list[int],
        poses: list[OrbitPose],
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        """Return a scalar, a mean over the images, whose gradient moves the renders.

        Args:
            images: [B, S, S, 3] renders in 0..1.
            frames: B frame indices.
            poses: B cameras.
            progress: Of the run, in [0, 1].
            generator: Source of every draw.
        """
        ...


def random_poses(
    config: GuidanceConfig, count: int, like: OrbitPose, generator: torch.Generator
) -> list[OrbitPose]:
    """Draw poses at the input's distance, uniform in azimuth [-180, 180) and in the range of elevations."""
    draws = torch.rand(count, 2, generator=generator) * 2 - 1  # [B, 2]
    return [
        OrbitPose(
            azimuth_deg=180 * azimuth,
            elevation_deg=config.max_elevation_deg * elevation,
            radius=like.radius,
            fovy_deg=like.fovy_deg,
        )
        for azimuth, elevation in draws.tolist()
    ]
