"""The slot of score distillation: what a posed image prior has to offer, and where its views are drawn.

The prior is an argument; this package knows none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from ..geometry import OrbitPose


@dataclass(frozen=True, kw_only=True)
class GuidanceConfig:
    """Random views of one step, one of every frame: where shapes are judged, and how a prior judges them.

    Attributes:
        weight: Weight of the prior's loss, a mean over renders and latent elements (official: 1, of a sum).
        max_elevation_deg: Elevations are uniform within plus and minus this (official: 30).
        guidance_scale: Of classifier-free guidance (official: 5); 1 is half the work of any other.
        anchors: Which picture the prior is told of, see ``anchor_camera`` (official: ``sectors``).
        reference_share: With sectors, chance that it is the input frame anyway (official: 0.6).
        reference_azimuth_deg: With sectors, azimuths within which it always is (official: 30).
        start_times: Range of diffusion times at the start, shares of the schedule (official: 0.5, 0.95).
        end_times: The same at the end (official: 0.02, 0.5).
        anneal_until: Progress at which the end's range is reached (official: 0.375, step 3000 of 8000).
    """

    weight: float = 1.0
    max_elevation_deg: float = 30.0
    guidance_scale: float = 5.0
    anchors: Literal["sectors", "nearest", "reference"] = "sectors"
    reference_share: float = 0.6
    reference_azimuth_deg: float = 30.0
    start_times: tuple[float, float] = (0.5, 0.95)
    end_times: tuple[float, float] = (0.02, 0.5)
    anneal_until: float = 0.375

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError with the offending value."""
        if not 0 <= self.weight < math.inf or not 0 <= self.max_elevation_deg <= 89:
            raise ValueError(
                f"guidance: weight {self.weight:g}, max_elevation_deg {self.max_elevation_deg:g}; expected a "
                "finite weight of at least 0, and 0 to 89 degrees."
            )
        if self.anchors not in ("sectors", "nearest", "reference"):
            raise ValueError(
                f"guidance: unknown anchors {self.anchors!r}; expected sectors, nearest or reference."
            )
        for low, high in (self.start_times, self.end_times):
            if not 0 <= low <= high <= 1:
                raise ValueError(f"guidance: times {low:g} to {high:g}; expected 0 <= low <= high <= 1.")
        if not 0 <= self.anneal_until <= 1 or not 0 <= self.reference_share <= 1:
            raise ValueError(f"guidance: {self}; anneal_until and reference_share must be in 0 to 1.")


class PosedDenoiser(Protocol):
    """A latent diffusion model that knows a clip, prepared to judge views of it.

    Attributes:
        alphas_cumprod: [T] share of the signal at each diffusion time, on the CPU.
        poses: Cameras of the pictures that it may be told of, the input's first.
        latent_shape: Channels, height and width of its latents.
        key: Hash that tells one prior from another.
    """

    alphas_cumprod: Tensor
    poses: Sequence[OrbitPose]
    latent_shape: tuple[int, int, int]

    @property
    def key(self) -> str:
        """See the class."""
        ...

    def encode(self, images: Tensor, draws: Tensor) -> Tensor:
        """Return latents [B, C, h, w] of renders [B, S, S, 3], differentiably; draws sample the posterior."""
        ...

    def predict(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        conditions: Sequence[tuple[int, int]],
        poses: Sequence[OrbitPose],
        guidance_scale: float,
    ) -> Tensor:
        """Return the noise in latents [B, C, h, w], told of pictures (frame, camera), seen from poses."""
        ...


class ImagePrior(Protocol):
    """A differentiable opinion on renders from poses that no picture shows."""

    @property
    def key(self) -> str:
        """Return a hash of what decides its opinion, for checkpoints."""
        ...

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
