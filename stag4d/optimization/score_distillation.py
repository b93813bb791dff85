"""Multi-view score distillation with spatial anchors: STAG4D, section 3.3; DreamFusion, arXiv 2209.14988.

A render is noised, and a posed prior, told of a picture near it, predicts the noise; where it is wrong, the
render is implausible.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..geometry import OrbitPose, nearest_poses
from .guidance import GuidanceConfig, PosedDenoiser

_HALF_SCALE = 1024.0  # of gradients on their way through a half-precision encoder, where small ones vanish
_MAX_OVERFLOWS = 10  # steps in a row
_FRAMING_TOLERANCE = 0.05


class SdsDraws(NamedTuple):
    """What is drawn for B renders.

    Attributes:
        timesteps: [B] diffusion times.
        posterior: [B, C, h, w] standard normal, samples the VAE's posterior of the renders.
        noise: [B, C, h, w] standard normal, added to their latents.
        wants_reference: B answers whether a coin chose the input frame as condition.
    """

    timesteps: Tensor
    posterior: Tensor
    noise: Tensor
    wants_reference: list[bool]


class ScoreDistillation:
    """The loss whose gradient is what a posed prior says of renders.

    Args:
        denoiser: The prior, prepared for the clip.
        config: Anchors, weights, range of times.

    Raises:
        ValueError: if a picture frames the object much wider or narrower than the input: a posed prior knows
            turns, and not zooms.
    """

    def __init__(self, denoiser: PosedDenoiser, config: GuidanceConfig) -> None:
        if config.anchors != "reference":
            _check_framing(denoiser.poses)
        self._denoiser, self._config = denoiser, config
        self._num_overflows = 0

    @property
    def key(self) -> str:
        """Return a hash of what the prior is; the configuration has its own."""
        return self._denoiser.key

    def loss(
        self,
        images: Tensor,
        frames: list[int],
        poses: list[OrbitPose],
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        """See ``ImagePrior``."""
        return self.loss_of(images, frames, poses, self.draw(len(images), progress, generator))

    def draw(self, count: int, progress: float, generator: torch.Generator) -> SdsDraws:
        """Draw for a number of renders; times are uniform in a range that falls as the run goes on."""
        config, num_timesteps = self._config, len(self._denoiser.alphas_cumprod)
        share = min(progress / config.anneal_until, 1.0) if config.anneal_until > 0 else 1.0
        low, high = (
            min(int(num_timesteps * (start + share * (end - start))), num_timesteps - 1)
            for start, end in zip(config.start_times, config.end_times, strict=True)
        )
        shape = (count, *self._denoiser.latent_shape)
        return SdsDraws(
            timesteps=torch.randint(low, high + 1, (count,), generator=generator),
            posterior=torch.randn(shape, generator=generator),
            noise=torch.randn(shape, generator=generator),
            wants_reference=(torch.rand(count, generator=generator) < config.reference_share).tolist(),
        )

    def loss_of(
        self, images: Tensor, frames: Sequence[int], poses: Sequence[OrbitPose], draws: SdsDraws
    ) -> Tensor:
        """Return the loss for given draws.

        With ``z`` the latents and ``g = w(t) (eps_hat - eps)`` held fixed, the loss ``0.5 |z - (z - g)|^2``
        has the gradient ``g``, so no derivative of the network is needed.

        Args:
            images: [B, S, S, 3] renders in 0..1.
            frames: B frame indices.
            poses: B cameras.
            draws: See ``draw``.

        Returns:
            A mean over renders and latent elements; its gradient stops at the renders.

        Raises:
            RuntimeError: if the prior's predictions have not been finite for some steps.
        """
        conditions = [
            (frame, anchor_camera(pose, self._denoiser.poses, self._config, wants))
            for frame, pose, wants in zip(frames, poses, draws.wants_reference, strict=True)
        ]
        with torch.enable_grad():
            pixels = images.detach().requires_grad_()
            latents = self._denoiser.encode(pixels, draws.posterior)  # [B, C, h, w]
        with torch.no_grad():
            signal = self._denoiser.alphas_cumprod[draws.timesteps].to(latents)[:, None, None, None]
            noise = draws.noise.to(latents)
            noisy = signal.sqrt() * latents + (1 - signal).sqrt() * noise
            predicted = self._denoiser.predict(
                noisy, draws.timesteps, conditions, poses, self._config.guidance_scale
            )
            gradient = (1 - signal) * (predicted - noise) / noise.numel()
        (pulled,) = torch.autograd.grad(latents, pixels, gradient * _HALF_SCALE)
        gradient, pulled = self._finite(gradient, pulled)
        value = 0.5 * gradient.square().sum() * gradient.numel()
        surrogate = (images * (pulled / _HALF_SCALE)).sum()
        return value + surrogate - surrogate.detach()

    def _finite(self, gradient: Tensor, pulled: Tensor) -> tuple[Tensor, Tensor]:
        """Return gradients of latents [B, C, h, w] and of renders [B, S, S, 3], 0 for those not finite."""
        is_finite = (gradient.flatten(1).isfinite().all(dim=1)) & (pulled.flatten(1).isfinite().all(dim=1))
        self._num_overflows = 0 if is_finite.any() else self._num_overflows + 1
        if self._num_overflows >= _MAX_OVERFLOWS:
            raise RuntimeError(
                f"guidance: the prior's predictions have not been finite for {_MAX_OVERFLOWS} steps; load it "
                "in bfloat16 or float32."
            )
        is_finite = is_finite[:, None, None, None]
        return torch.where(is_finite, gradient, 0.0), torch.where(is_finite, pulled, 0.0)


def anchor_camera(
    pose: OrbitPose, cameras: Sequence[OrbitPose], config: GuidanceConfig, wants_reference: bool
) -> int:
    """Return which given picture a prior is told of when it judges a render.

    Args:
        pose: Of the render.
        cameras: Of the given pictures, the input's first.
        config: ``anchors`` decides: ``sectors`` takes the input near its azimuth or when a coin
            says so, else the posed view nearest in azimuth (official); ``nearest`` the one nearest by angle;
            ``reference`` always the input.
        wants_reference: The coin.
    """
    if config.anchors == "reference" or len(cameras) == 1:
        return 0
    if config.anchors == "nearest":
        return nearest_poses(pose, cameras)[0]
    if wants_reference or _turn(pose, cameras[0]) < config.reference_azimuth_deg:
        return 0
    return min(range(1, len(cameras)), key=lambda camera: _turn(pose, cameras[camera]))


def _check_framing(poses: Sequence[OrbitPose]) -> None:
    """Raise ValueError unless all cameras see as much of the object's plane as the first, within 5 %."""
    widths = [2 * pose.radius * math.tan(math.radians(pose.fovy_deg / 2)) for pose in poses]
    for camera, width in enumerate(widths[1:]):
        if abs(width / widths[0] - 1) > _FRAMING_TOLERANCE:
            raise ValueError(
                f"guidance: view {camera} spans {width:.2f} of the scene, the input {widths[0]:.2f}; "
                "expected the same, since the prior knows turns and not zooms. Choose anchors 'reference'."
            )


def _turn(pose: OrbitPose, other: OrbitPose) -> float:
    """Return the difference of two azimuths, 0 to 180 degrees."""
    return abs((pose.azimuth_deg - other.azimuth_deg + 180) % 360 - 180)
