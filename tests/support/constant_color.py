"""A guidance model for tests whose noise predictions are known."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stag4d.geometry import OrbitPose


class ConstantColorDenoiser:
    """A denoiser for which every clean image has one color; latents are the pixels themselves."""

    key = "constant color"
    latent_shape = (3, 24, 24)
    alphas_cumprod = torch.full((10,), 0.5)

    def __init__(self, color: tuple[float, float, float], poses: Sequence[OrbitPose]) -> None:
        self.color, self.poses = torch.tensor(color), poses
        self.images: list[Tensor] = []  # [B, S, S, 3] of each call
        self.frames: list[list[int]] = []
        self.render_poses: list[list[OrbitPose]] = []

    def encode(self, images: Tensor, noise: Tensor) -> Tensor:
        self.images.append(images.detach().clone())
        return images.permute(0, 3, 1, 2)

    def predict(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        conditions: Sequence[tuple[int, int]],
        poses: Sequence[OrbitPose],
        guidance_scale: float,
    ) -> Tensor:
        self.frames.append([frame for frame, _ in conditions])
        self.render_poses.append(list(poses))
        return (noisy - 0.5**0.5 * self.color[:, None, None]) / 0.5**0.5  # the noise, if that color is clean

    def loss(self, call: int) -> float:
        """Return the SDS loss of a call by hand: half the mean of alpha (1 - alpha) (z - color)^2."""
        return 0.5 * 0.25 * (self.images[call] - self.color).square().mean().item()
