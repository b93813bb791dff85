"""Stable-Zero123 as ComfyUI's MODEL, CLIP_VISION and VAE: a ``diffusion.PoseConditionedNetwork``.

The UNet is called through the host's model interface, so it stays shared with the rest of the graph. Its pose
numbers differ from those of Zero123-XL: the fourth is the polar angle of the conditioning image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import comfy.model_management
import torch

from ...stag4d.devices import to_device
from ...stag4d.geometry import OrbitPose, turn_between
from ...stag4d.resume import input_key

IMAGE_SIZE, LATENT_SIZE, NUM_CHANNELS, NUM_POSE_NUMBERS = 256, 32, 4, 4  # of Stable-Zero123


class NativeZero123:
    """A ``diffusion.PoseConditionedNetwork`` of the host's networks.

    Args:
        model: MODEL.
        clip_vision: CLIP_VISION.
        vae_patcher: ModelPatcher of a VAE whose encoder is differentiable.
        work_bytes: Memory beside the weights for the host to free.
    """

    latent_shape = (NUM_CHANNELS, LATENT_SIZE, LATENT_SIZE)

    def __init__(self, model: Any, clip_vision: Any, vae_patcher: Any, work_bytes: int) -> None:
        self._patcher, self._clip_vision, self._vae = model, clip_vision, vae_patcher
        self._work_bytes = work_bytes
        sigmas = self._model.model_sampling.sigmas.detach().cpu().float().clone()  # [T]
        self.alphas_cumprod = 1 / (1 + sigmas**2)

    @property
    def key_parts(self) -> tuple[object, ...]:
        """Return the id of LoRA patches, and a hash of a layer of each network: it differs by checkpoint."""
        patches = str(self._patcher.patches_uuid) if self._patcher.patches else ""
        layers = (
            self._model.cc_projection.weight,
            self._clip_vision.get_sd()["visual_projection.weight"],
            self._vae.model.quant_conv.weight,
        )
        return "stable_zero123", patches, input_key(*(layer.float() for layer in layers))

    @property
    def _model(self) -> Any:
        """Return the host's model."""
        return self._patcher.model

    @torch.no_grad()
    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Return CLIP embeddings, float32 [B, 768], of images [B, S, S, 3]."""
        return self._clip_vision.encode_image(images).image_embeds.float()

    @torch.no_grad()
    def encode_conditioning(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return unscaled latents [B, 4, 32, 32] of images, as the host does: the posterior's mean."""
        self._load()
        return self._posterior(images)[0]

    def encode(self, images: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return scaled latents [B, 4, 32, 32] of renders [B, S, S, 3]; see ``PoseConditionedNetwork``."""
        mean, std = self._posterior(images)
        return self._model.process_latent_in(mean + std * noise.to(mean)).to(images.device)

    def tokens(
        self,
        embeddings: torch.Tensor,
        conditions: Sequence[OrbitPose],
        targets: Sequence[OrbitPose],
    ) -> torch.Tensor:
        """Return the tokens [B, 1, 768] of embeddings [B, 768] for B pairs of poses."""
        pairs = zip(conditions, targets, strict=True)
        numbers = torch.tensor([pose_numbers(*pair) for pair in pairs])  # [B, 4]
        numbers = to_device(numbers, embeddings.device).to(embeddings)
        joined = torch.cat([embeddings, numbers], dim=-1)[:, None]
        return self._model.cc_projection(joined.to(self._patcher.load_device))

    def predict(
        self, noisy: torch.Tensor, timesteps: torch.Tensor, latents: torch.Tensor, tokens: torch.Tensor
    ) -> torch.Tensor:
        """Return the noise prediction n, float32 [B, 4, 32, 32]; the host's model maps z + sigma n to z."""
        noisy = noisy.to(self._patcher.load_device)  # the fit may run on another device
        signal = to_device(self.alphas_cumprod[timesteps], noisy.device).to(noisy)  # [B]
        sigma = ((1 - signal) / signal).sqrt()
        scaled = noisy / signal.sqrt()[:, None, None, None]  # z + sigma n
        denoised = self._model.apply_model(
            scaled, sigma, c_concat=latents.to(noisy), c_crossattn=tokens
        ).float()
        return (scaled - denoised) / sigma[:, None, None, None]

    def to_noise_prediction(
        self, output: torch.Tensor, noisy: torch.Tensor, timesteps: torch.Tensor
    ) -> torch.Tensor:
        """Return the output of ``predict``, which is the noise prediction."""
        return output

    def _load(self) -> None:
        """Have the host load UNet and VAE to their devices."""
        comfy.model_management.load_models_gpu(
            [self._patcher, self._vae], memory_required=self._work_bytes, force_full_load=True
        )

    def _posterior(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation of unscaled latents of images [B, S, S, 3], float32."""
        encoder = self._vae.model
        weight = encoder.quant_conv.weight
        resized = torch.nn.functional.interpolate(
            images.permute(0, 3, 1, 2), size=(IMAGE_SIZE, IMAGE_SIZE), mode="bilinear", align_corners=False
        )
        moments = encoder.quant_conv(encoder.encoder((resized * 2 - 1).to(weight.device, weight.dtype)))
        mean, log_variance = moments.float().chunk(2, dim=1)
        return mean, (0.5 * log_variance.clamp(-30, 20)).exp()


def pose_numbers(condition: OrbitPose, target: OrbitPose) -> list[float]:
    """Return Stable-Zero123's conditioning on two poses; the last is the condition's polar angle, radians."""
    return [*turn_between(condition, target), math.radians(90 - condition.elevation_deg)]
