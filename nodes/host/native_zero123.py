"""Stable-Zero123 as ComfyUI's MODEL, CLIP_VISION and VAE: a ``diffusion.PoseConditionedNetwork``.

The UNet is called through the host's model interface, with the patches and wrappers of the MODEL, so it stays
shared with the rest of the graph; so does the VAE, whose encoder is differentiated. The UNet's pose
numbers differ from those of Zero123-XL: the fourth is the polar angle of the conditioning image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import comfy.model_management
import torch
from comfy.patcher_extension import copy_nested_dicts, merge_nested_dicts
from torch import nn

from ...stag4d.devices import to_device
from ...stag4d.geometry import OrbitPose, turn_between
from ...stag4d.resume import input_key

COND_BRANCH, UNCOND_BRANCH = 0, 1  # the host's numbers
IMAGE_SIZE, LATENT_SIZE, NUM_CHANNELS, NUM_POSE_NUMBERS = 256, 32, 4, 4  # of Stable-Zero123


class NativeZero123:
    """A ``diffusion.PoseConditionedNetwork`` of the host's networks.

    Args:
        model: MODEL.
        clip_vision: CLIP_VISION.
        vae_patcher: ModelPatcher of a VAE whose weights stay in place between two loads.
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
        """Return the id of LoRA patches, the names of other patches, and a hash of a layer per network."""
        patches = str(self._patcher.patches_uuid) if self._patcher.patches else ""
        names = patch_names(self._patcher)
        layers = (
            self._model.cc_projection.weight,
            self._clip_vision.get_sd()["visual_projection.weight"],
            self._vae.model.quant_conv.weight,
        )
        others = (names,) if names else ()  # keys of earlier versions lack them
        return "stable_zero123", patches, *others, input_key(*(layer.float() for layer in layers))

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
        half = len(tokens) // 2
        has_both = len(tokens) % 2 == 0 and not tokens[half:].any()  # zeros are the unconditional branch's
        branches = [COND_BRANCH, UNCOND_BRANCH] if has_both else [COND_BRANCH]
        options = self._options(branches, sigma)
        given = {"c_concat": latents.to(noisy), "c_crossattn": tokens, "transformer_options": options}
        wrapper = self._patcher.model_options.get("model_function_wrapper")
        if wrapper is None:
            denoised = self._model.apply_model(scaled, sigma, **given)
        else:
            call = {"input": scaled, "timestep": sigma, "c": given, "cond_or_uncond": branches}
            denoised = wrapper(self._model.apply_model, call)
        return (scaled - denoised.float()) / sigma[:, None, None, None]

    def to_noise_prediction(
        self, output: torch.Tensor, noisy: torch.Tensor, timesteps: torch.Tensor
    ) -> torch.Tensor:
        """Return the output of ``predict``, which is the noise prediction."""
        return output

    def _options(self, branches: list[int], sigma: torch.Tensor) -> dict[str, Any]:
        """Return the host's options of a UNet call: the MODEL's patches and wrappers, as in its samplers.

        Args:
            branches: The host's numbers of the guidance branches in the batch.
            sigma: [B] noise levels.
        """
        options: dict[str, Any] = copy_nested_dicts(
            self._patcher.model_options.get("transformer_options", {})
        )
        for key, own in (("wrappers", self._patcher.wrappers), ("callbacks", self._patcher.callbacks)):
            options[key] = merge_nested_dicts(options.get(key, {}), own)
        options["cond_or_uncond"] = branches
        options["sigmas"] = sigma
        options["sample_sigmas"] = self._model.model_sampling.sigmas.flip(0)
        return options

    def _load(self) -> None:
        """Have the host load UNet and VAE to their devices."""
        comfy.model_management.load_models_gpu(
            [self._patcher, self._vae], memory_required=self._work_bytes, force_full_load=True
        )
        replace_inference_tensors(self._vae.model)

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


def replace_inference_tensors(module: nn.Module) -> None:
    """Replace weights that were loaded in inference mode, since none can be back-propagated through.

    Args:
        module: Changed in place; the weights keep their values.
    """
    with torch.inference_mode(False):
        for part in module.modules():
            for name, weight in part._parameters.items():
                if weight is not None and weight.is_inference():
                    part._parameters[name] = nn.Parameter(weight.clone(), requires_grad=False)
            for name, buffer in part._buffers.items():
                if buffer is not None and buffer.is_inference():
                    part._buffers[name] = buffer.clone()


def patch_names(patcher: Any) -> tuple[str, ...]:
    """Return the names of what patches a MODEL besides LoRA: functions in its options, wrappers, objects."""
    found: list[str] = list(patcher.object_patches)
    pending: list[Any] = [patcher.model_options, patcher.wrappers]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += value.values()
        elif isinstance(value, (list, tuple)):
            pending += value
        elif callable(value):
            found.append(getattr(value, "__qualname__", type(value).__qualname__))
    return tuple(sorted(found))


def pose_numbers(condition: OrbitPose, target: OrbitPose) -> list[float]:
    """Return Stable-Zero123's conditioning on two poses; the last is the condition's polar angle, radians."""
    return [*turn_between(condition, target), math.radians(90 - condition.elevation_deg)]
