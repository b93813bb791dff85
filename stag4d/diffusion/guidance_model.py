"""Guidance models: diffusion models of an object from any camera pose, conditioned on an image of it.

The paper calls one a posed image prior. ``PoseConditionedDenoiser`` prepares any such network for the views
of a video: it embeds every given image once, looks up the conditioning of a render, and applies
classifier-free guidance.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from ..geometry import OrbitPose
from ..progress import Monitor, silent
from ..resume import input_key
from ..view_set import ViewSet


class PoseConditionedNetwork(Protocol):
    """A network of the Zero123 kind, independent of any video."""

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the latents."""
        ...

    @property
    def alphas_cumprod(self) -> Tensor:
        """[T] cumulative products of the noise schedule's alphas, on the CPU."""
        ...

    @property
    def key_parts(self) -> tuple[object, ...]:
        """Settings and checksums of the weights; resume keys contain their ``repr``."""
        ...

    def embed(self, images: Tensor) -> Tensor:
        """Return embeddings [B, D] of images [B, S, S, 3] in 0..1."""
        ...

    def encode_conditioning(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return conditioning latents [B, C, h, w] of images [B, S, S, 3]."""
        ...

    def encode(self, images: Tensor, noise: Tensor) -> Tensor:
        """Return latents [B, C, h, w] of renders [B, S, S, 3], differentiably, on the renders' device.

        ``noise``, standard normal of the latents' shape, samples the posterior.
        """
        ...

    def tokens(
        self, embeddings: Tensor, conditions: Sequence[OrbitPose], targets: Sequence[OrbitPose]
    ) -> Tensor:
        """Return the tokens [B, 1, D] of embeddings for the poses of B conditioning images and B targets."""
        ...

    def predict(self, noisy: Tensor, timesteps: Tensor, latents: Tensor, tokens: Tensor) -> Tensor:
        """Return the model output, of the network's own prediction type, float32 [B, C, h, w].

        Args:
            noisy: [B, C, h, w] noisy latents.
            timesteps: [B], on the CPU.
            latents: [B, C, h, w] conditioning latents; zeros are the unconditional branch's.
            tokens: [B, 1, D]; zeros likewise.
        """
        ...

    def to_noise_prediction(self, output: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
        """Convert a model output for noisy latents (epsilon or v) to the noise prediction [B, C, h, w]."""
        ...


class PoseConditionedDenoiser:
    """A guidance network prepared for the views of a video; an ``optimization.GuidanceDenoiser``.

    Args:
        network: The network, on the device where it runs.
        views: Input frames and posed views; composited on white they are the conditioning images.
        generator: Source of the noise that samples the posterior of the conditioning images.
        monitor: Called before the first image, after each is embedded, and after its latents are encoded.
    """

    def __init__(
        self,
        network: PoseConditionedNetwork,
        views: ViewSet,
        generator: torch.Generator,
        *,
        monitor: Monitor = silent,
    ) -> None:
        views = views.orbit_views()
        self.poses: Sequence[OrbitPose] = (views.input_pose, *views.view_poses)
        self.latent_shape, self.alphas_cumprod = network.latent_shape, network.alphas_cumprod
        self._network = network
        self._conditioning_key = _conditioning_key(views, generator)  # before the generator is used
        num_passes = 2 * views.num_frames * len(self.poses)
        monitor("guidance", 0, num_passes)
        embeddings: list[Tensor] = []
        latents: list[Tensor] = []
        # One network after the other: an application that swaps networks for lack of memory loads each once.
        # One image after the other: on a CPU each takes seconds, in which the user cannot cancel.
        for frame in range(views.num_frames):
            for image in views.on_white(frame).split(1):  # [1, S, S, 3]
                embeddings.append(network.embed(image))
                monitor("guidance", len(embeddings), num_passes)
        for frame in range(views.num_frames):
            for image in views.on_white(frame).split(1):
                latents.append(network.encode_conditioning(image, generator))
                monitor("guidance", len(embeddings) + len(latents), num_passes)
        self._embeddings = torch.cat(embeddings)  # [F * (1 + V), D]
        self._latents = torch.cat(latents)  # [F * (1 + V), C, h, w]

    @cached_property
    def key(self) -> str:
        """Hash of the network, the conditioning images and the noise that samples their latents."""
        return input_key(repr((*self._network.key_parts, self._conditioning_key)))

    def encode(self, images: Tensor, noise: Tensor) -> Tensor:
        """See ``PoseConditionedNetwork``."""
        return self._network.encode(images, noise)

    @torch.no_grad()
    def predict(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        conditions: Sequence[tuple[int, int]],
        poses: Sequence[OrbitPose],
        guidance_scale: float,
    ) -> Tensor:
        """Return the noise prediction with classifier-free guidance, in one call of the network.

        Args:
            noisy: [B, C, h, w] noisy latents of renders.
            timesteps: [B], on the CPU.
            conditions: Frame and camera (0 is the input's) of each render's conditioning image.
            poses: B poses of the renders.
            guidance_scale: Scale of classifier-free guidance; at 1 only the conditional branch is computed.

        Returns:
            Float32 [B, C, h, w], on the device of ``noisy``.
        """
        chosen = [frame * len(self.poses) + camera for frame, camera in conditions]
        embeddings = torch.stack([self._embeddings[index] for index in chosen])  # [B, D]
        tokens = self._network.tokens(
            embeddings, [self.poses[camera] for _, camera in conditions], poses
        )  # [B, 1, D]
        latents = torch.stack([self._latents[index] for index in chosen])  # [B, C, h, w]
        num_branches = 1 if guidance_scale == 1 else 2
        if num_branches == 2:  # the unconditional branch comes second
            tokens = torch.cat([tokens, torch.zeros_like(tokens)])  # [2B, 1, D]
            latents = torch.cat([latents, torch.zeros_like(latents)])  # [2B, C, h, w]
        output = self._network.predict(
            noisy.repeat(num_branches, 1, 1, 1), timesteps.repeat(num_branches), latents, tokens
        )
        cond, *uncond = output.split(len(noisy))
        # CFG before the conversion gives the same result, since the conversion is affine in the output.
        guided = uncond[0] + guidance_scale * (cond - uncond[0]) if uncond else cond
        return self._network.to_noise_prediction(guided.to(noisy.device), noisy, timesteps)


def _conditioning_key(views: ViewSet, generator: torch.Generator) -> str:
    """Return a hash of the conditioning images, their poses and the random generator's state."""
    inputs: list[str | Tensor] = [repr((views.input_pose, views.view_poses))]
    for images in (views.images, views.alphas, views.view_images, views.view_alphas):
        inputs += [repr(tuple(images.shape)), images.float()]
    return input_key(*inputs, generator.get_state())
