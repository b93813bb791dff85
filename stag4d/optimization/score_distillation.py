"""Score distillation sampling (SDS) with spatial anchors: STAG4D, section 3.3; DreamFusion, arXiv 2209.14988.

Noise is added to the latents of a render, and the guidance model predicts it, conditioned on a given image
from a camera near that of the render. The error of the prediction is the gradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..devices import to_device
from ..geometry import OrbitPose, nearest_poses
from ..progress import Check, never_cancel
from .guidance import GuidanceConfig, GuidanceDenoiser

_GRADIENT_SCALE = 1024.0  # loss scaling: keeps gradients through a half-precision encoder from underflow
_MAX_OVERFLOWS = 10  # consecutive steps without a finite gradient, before an error
_FRAMING_TOLERANCE = 0.05  # relative difference of the widths that two cameras see at the origin


class SdsSamples(NamedTuple):
    """Random numbers of the SDS loss of B renders.

    Attributes:
        timesteps: [B] diffusion timesteps.
        posterior: [B, C, h, w] standard normal noise that samples the VAE's posterior of the renders.
        noise: [B, C, h, w] standard normal noise added to their latents.
        use_reference: B booleans, whether the input frame is the conditioning image, see
            ``conditioning_camera``.
    """

    timesteps: Tensor
    posterior: Tensor
    noise: Tensor
    use_reference: list[bool]


class ScoreDistillation:
    """The SDS loss of renders.

    Args:
        denoiser: Guidance model, conditioned on the images of the video.
        config: Anchors, guidance scale, range of diffusion times.

    Raises:
        ValueError: if a given image frames the object much wider or narrower than the input: the model is
            conditioned on rotations, not on zooms.
    """

    def __init__(self, denoiser: GuidanceDenoiser, config: GuidanceConfig) -> None:
        if config.anchors != "reference":
            _check_framing(denoiser.poses)
        self._denoiser, self._config = denoiser, config
        self._num_overflows: Tensor | int = 0  # consecutive steps without a finite gradient

    @property
    def key(self) -> str:
        """Return the denoiser's hash, for resume keys; the configuration is hashed separately."""
        return self._denoiser.key

    def sample(self, count: int, progress: float, generator: torch.Generator) -> SdsSamples:
        """Return random numbers for a number of renders.

        Args:
            count: Number of renders B.
            progress: Share of the steps done, 0 to 1; the range of diffusion times is annealed with it.
            generator: Source of all random numbers.
        """
        config, num_timesteps = self._config, len(self._denoiser.alphas_cumprod)
        share = min(progress / config.anneal_until, 1.0) if config.anneal_until > 0 else 1.0
        low, high = (
            min(int(num_timesteps * (start + share * (end - start))), num_timesteps - 1)
            for start, end in zip(config.start_times, config.end_times, strict=True)
        )
        shape = (count, *self._denoiser.latent_shape)
        return SdsSamples(
            timesteps=torch.randint(low, high + 1, (count,), generator=generator),
            posterior=torch.randn(shape, generator=generator),
            noise=torch.randn(shape, generator=generator),
            use_reference=(torch.rand(count, generator=generator) < config.reference_share).tolist(),
        )

    def loss(
        self,
        images: Tensor,
        frames: Sequence[int],
        poses: Sequence[OrbitPose],
        samples: SdsSamples,
        check: Check = never_cancel,
    ) -> Tensor:
        """Return the loss of renders.

        With ``z`` the latents and ``g = w(t) (eps_hat - eps)`` held fixed, the loss ``0.5 |z - (z - g)|^2``
        has the gradient ``g``, so no derivative of the UNet is needed.

        Args:
            images: [B, S, S, 3] renders in 0..1.
            frames: B frame indices.
            poses: B camera poses.
            samples: Random numbers, see ``sample``.
            check: Called between the passes through the networks; raises an exception to cancel.

        Returns:
            A scalar, the mean over renders and latent elements; its gradient flows to the renders.
        """
        conditions = [
            (frame, conditioning_camera(pose, self._denoiser.poses, self._config, use_reference))
            for frame, pose, use_reference in zip(frames, poses, samples.use_reference, strict=True)
        ]
        check()
        posterior, noise = to_device(torch.stack([samples.posterior, samples.noise]), images.device)
        alpha_bar = to_device(self._denoiser.alphas_cumprod[samples.timesteps], images.device)
        with torch.enable_grad():
            # A leaf of its own: overflows are set to 0 before the gradient reaches the rasterizer.
            pixels = images.detach().requires_grad_()
            latents = self._denoiser.encode(pixels, posterior)  # [B, C, h, w]
        check()
        with torch.no_grad():  # SDS leaves out the Jacobian of the UNet
            alpha_bar, noise = alpha_bar.to(latents)[:, None, None, None], noise.to(latents)
            noisy = alpha_bar.sqrt() * latents + (1 - alpha_bar).sqrt() * noise
            predicted = self._denoiser.predict(
                noisy, samples.timesteps, conditions, poses, self._config.guidance_scale
            )
            latent_gradient = (1 - alpha_bar) * (predicted - noise) / noise.numel()  # w(t) = 1 - alpha_bar
        check()
        # The chain rule through the encoder alone; the scale keeps half-precision gradients from underflow.
        (pixel_gradient,) = torch.autograd.grad(latents, pixels, latent_gradient * _GRADIENT_SCALE)
        latent_gradient, pixel_gradient = self._zero_overflows(latent_gradient, pixel_gradient)
        # The gradient has a factor 1 / n from the mean; times n, this is the mean of 0.5 g^2.
        value = 0.5 * latent_gradient.square().sum() * latent_gradient.numel()
        surrogate = (images * (pixel_gradient / _GRADIENT_SCALE)).sum()  # its gradient is pixel_gradient
        return value + surrogate - surrogate.detach()

    def check_overflows(self) -> None:
        """Raise RuntimeError if no render had a finite gradient in the last steps, ten or more.

        It is not checked in ``loss``, which would wait for a GPU in every step.
        """
        if self._num_overflows >= _MAX_OVERFLOWS:
            raise RuntimeError(
                f"guidance: no render had a finite SDS gradient in {_MAX_OVERFLOWS} consecutive steps; load "
                "the guidance model in bfloat16 or float32."
            )

    def _zero_overflows(self, latent_gradient: Tensor, pixel_gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Return gradients [B, C, h, w] and [B, S, S, 3] with those of renders that overflowed set to 0."""
        is_finite = (latent_gradient.flatten(1).isfinite().all(dim=1)) & (
            pixel_gradient.flatten(1).isfinite().all(dim=1)
        )  # [B]
        self._num_overflows = torch.where(is_finite.any(), 0, self._num_overflows + 1)
        is_finite = is_finite[:, None, None, None]
        return torch.where(is_finite, latent_gradient, 0.0), torch.where(is_finite, pixel_gradient, 0.0)


def conditioning_camera(
    pose: OrbitPose, cameras: Sequence[OrbitPose], config: GuidanceConfig, use_reference: bool
) -> int:
    """Return the camera of the given image that conditions the noise prediction for a render.

    Args:
        pose: Pose of the render.
        cameras: Poses of the given images, the input's first.
        config: Its ``anchors`` decides: ``sectors`` takes the input near its azimuth or where
            ``use_reference`` is set, else the posed view nearest in azimuth (official); ``nearest`` the one
            nearest by angle; ``reference`` always the input.
        use_reference: Result of the random choice with probability ``reference_share``.
    """
    if config.anchors == "reference" or len(cameras) == 1:
        return 0
    if config.anchors == "nearest":
        return nearest_poses(pose, cameras)[0]
    if use_reference or _azimuth_distance(pose, cameras[0]) < config.reference_azimuth_deg:
        return 0
    return min(range(1, len(cameras)), key=lambda camera: _azimuth_distance(pose, cameras[camera]))


def _check_framing(poses: Sequence[OrbitPose]) -> None:
    """Raise ValueError unless all cameras span as much of the object's plane as the first, within 5 %."""
    widths = [2 * pose.radius * math.tan(math.radians(pose.fovy_deg / 2)) for pose in poses]
    for camera, width in enumerate(widths[1:]):
        if abs(width / widths[0] - 1) > _FRAMING_TOLERANCE:
            raise ValueError(
                f"guidance: view {camera} spans {width:.2f} world units, the input {widths[0]:.2f}; expected "
                "the same, since the guidance model has no zoom. Choose guidance_anchors 'reference'."
            )


def _azimuth_distance(pose: OrbitPose, other: OrbitPose) -> float:
    """Return the absolute difference of two azimuths, 0 to 180 degrees."""
    return abs((pose.azimuth_deg - other.azimuth_deg + 180) % 360 - 180)
