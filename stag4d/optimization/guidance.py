"""Guidance of a fit by a diffusion model: its settings, and what the model has to provide.

The model is an argument; this package imports none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from ..geometry import OrbitPose
from .novel_views import MAX_ELEVATION_DEG


@dataclass(frozen=True, kw_only=True)
class GuidanceConfig:
    """Score distillation on one random novel view of each frame of a step.

    Attributes:
        weight: Weight of the SDS loss, a mean over renders and latent elements (official: 1, of a sum).
        max_elevation_deg: Elevations are uniform within plus and minus this (official: 30).
        guidance_scale: Scale of classifier-free guidance (official: 5); 1 costs half as much as any other.
        anchors: Choice of the conditioning image, see ``conditioning_camera`` (official: ``sectors``).
        reference_share: With sectors, probability of the input frame as conditioning image (official: 0.6).
        reference_azimuth_deg: With sectors, azimuths within which it always is (official: 30).
        start_times: Range of the timesteps at the start of the fit, as shares of all (official: 0.5, 0.95).
        end_times: The same at the end of the fit (official: 0.02, 0.5).
        anneal_until: Progress at which ``end_times`` is reached (official: 0.375, step 3000 of 8000).
    """

    weight: float = 1.0
    max_elevation_deg: float = MAX_ELEVATION_DEG
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


class GuidanceDenoiser(Protocol):
    """A latent diffusion model of the object from any pose, conditioned on the given images of a video.

    Attributes:
        alphas_cumprod: [T] cumulative products of the noise schedule's alphas, on the CPU.
        poses: Cameras of the given images, the input's first.
        latent_shape: Channels, height and width of its latents.
    """

    alphas_cumprod: Tensor
    poses: Sequence[OrbitPose]
    latent_shape: tuple[int, int, int]

    @property
    def key(self) -> str:
        """Hash of the model and the given images, for resume keys."""
        ...

    def encode(self, images: Tensor, noise: Tensor) -> Tensor:
        """Return latents [B, C, h, w] of renders, differentiably.

        Args:
            images: [B, S, S, 3] renders.
            noise: [B, C, h, w] standard normal noise that samples the posterior.
        """
        ...

    def predict(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        conditions: Sequence[tuple[int, int]],
        poses: Sequence[OrbitPose],
        guidance_scale: float,
    ) -> Tensor:
        """Return the noise prediction [B, C, h, w] for noisy latents of renders from B poses.

        Each is conditioned on one given image: its frame, and its camera in ``self.poses``. The timesteps [B]
        are on the CPU.
        """
        ...
