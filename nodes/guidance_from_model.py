"""Stable-Zero123 as the host has loaded it, as the posed prior of a fit.

The network is asked through the host's model interface, so it stays shared with the rest of the graph. Its
pose numbers differ from those of Zero123-XL: the fourth is the polar angle of the condition.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import comfy.model_base
import comfy.model_management
import torch
from comfy_api.latest import io

from ..stag4d.geometry import OrbitPose, turn_between
from ..stag4d.optimization import OptimizationConfig, ScoreDistillation
from ..stag4d.pipeline import PriorMaker
from ..stag4d.types import ViewSet
from .host.progress import check_cancel
from .host.sockets import CATEGORY, Guidance

SIDE, LATENT_SIDE, CHANNELS = 256, 32, 4  # Stable-Zero123's pictures and latents


class STAG4DGuidanceFromModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DGuidanceFromModel",
            display_name="STAG4D Guidance From Model",
            category=CATEGORY,
            description="Takes Stable-Zero123 as Image Only Checkpoint Loader gives it. It judges views of "
            "the scene that no image shows.",
            search_aliases=["stable zero123", "score distillation", "sds"],
            inputs=[
                io.Model.Input("model", tooltip="Stable-Zero123."),
                io.ClipVision.Input("clip_vision", tooltip="Of the same checkpoint."),
                io.Vae.Input("vae", tooltip="Of the same checkpoint."),
            ],
            outputs=[Guidance.Output("guidance", tooltip="For STAG4D Optimize.")],
        )

    @classmethod
    def execute(cls, model: Any, clip_vision: Any, vae: Any) -> io.NodeOutput:
        kind = type(model.model).__name__
        if not isinstance(model.model, comfy.model_base.Stable_Zero123):
            raise ValueError(
                f"guidance: the model is a {kind}; expected Stable_Zero123, as Image Only Checkpoint Loader "
                "gives it for stable_zero123."
            )
        return io.NodeOutput(NativeGuidance(model, clip_vision, _differentiable(vae)))


def _differentiable(vae: Any) -> Any:
    """Return a handle of the VAE that gradients can pass: the host loaded its own in inference mode."""
    try:
        with torch.inference_mode(False):
            return vae.patcher.clone(force_deepcopy=True)
    except RuntimeError as error:
        raise ValueError(
            f"guidance: the VAE cannot be loaded a second time ({error}); take it from Image Only Checkpoint "
            "Loader or Load VAE."
        ) from error


@dataclass(frozen=True, eq=False)
class NativeGuidance:
    """A prior that the host owns; see ``nodes.guidance.GuidanceModel``.

    Attributes:
        model: MODEL.
        clip_vision: CLIP_VISION.
        vae_patcher: The host's handle of the VAE.
    """

    model: Any
    clip_vision: Any
    vae_patcher: Any

    def prior_maker(self, config: OptimizationConfig, work_bytes: int) -> PriorMaker:
        """Return what makes the prior of a fit."""

        def make(views: ViewSet) -> ScoreDistillation:
            return ScoreDistillation(NativePrior(self, views, work_bytes), config.guidance)

        return make


class NativePrior:
    """Stable-Zero123 prepared for a clip; see ``optimization.PosedDenoiser``.

    Args:
        guidance: The networks.
        views: The clip.
        work_bytes: Memory beside the weights that the host makes room for.
    """

    latent_shape = (CHANNELS, LATENT_SIDE, LATENT_SIDE)

    def __init__(self, guidance: NativeGuidance, views: ViewSet, work_bytes: int) -> None:
        self._patcher, self._vae = guidance.model, guidance.vae_patcher
        self._work_bytes = work_bytes
        self.poses: Sequence[OrbitPose] = (views.input_pose, *views.view_poses)
        embeddings, latents = [], []
        with torch.no_grad():
            for frame in range(views.num_frames):
                check_cancel(frame)
                embeddings.append(guidance.clip_vision.encode_image(views.on_white(frame)).image_embeds)
            self._load()
            for frame in range(views.num_frames):
                check_cancel(frame)
                latents.append(self._moments(views.on_white(frame))[0])
        self._embeddings = torch.cat(embeddings).float()  # [F * (1 + V), 768]
        self._latents = torch.cat(latents)  # [F * (1 + V), 4, 32, 32], unscaled
        sigmas = self._model.model_sampling.sigmas.detach().cpu().float().clone()  # [T]
        self.alphas_cumprod = 1 / (1 + sigmas**2)

    @property
    def key(self) -> str:
        """Return a hash of the conditions, of weights that tell checkpoints apart, and of patches on them."""
        patches = self._patcher.patches_uuid if self._patcher.patches else ""
        digest = hashlib.sha256(f"stable_zero123 {patches}".encode())
        for tensor in (self._embeddings, self._latents, self._model.cc_projection.weight):
            digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def _model(self) -> Any:
        """Return the host's model."""
        return self._patcher.model

    def _load(self) -> None:
        """Have the host bring both networks to their device."""
        comfy.model_management.load_models_gpu(
            [self._patcher, self._vae], memory_required=self._work_bytes, force_full_load=True
        )

    def _moments(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation of unscaled latents of pictures [B, S, S, 3], float32."""
        encoder = self._vae.model
        weight = encoder.quant_conv.weight
        resized = torch.nn.functional.interpolate(
            images.permute(0, 3, 1, 2), size=(SIDE, SIDE), mode="bilinear", align_corners=False
        )
        moments = encoder.quant_conv(encoder.encoder((resized * 2 - 1).to(weight.device, weight.dtype)))
        mean, log_variance = moments.float().chunk(2, dim=1)
        return mean, (0.5 * log_variance.clamp(-30, 20)).exp()

    def encode(self, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """See ``PosedDenoiser``."""
        mean, deviation = self._moments(images)
        return self._model.process_latent_in(mean + deviation * draws.to(mean)).to(images.device)

    @torch.no_grad()
    def predict(
        self,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
        conditions: Sequence[tuple[int, int]],
        poses: Sequence[OrbitPose],
        guidance_scale: float,
    ) -> torch.Tensor:
        """See ``PosedDenoiser``; the host's network takes ``z + sigma n`` and returns ``z``."""
        chosen = [frame * len(self.poses) + camera for frame, camera in conditions]
        told = [self.poses[camera] for _, camera in conditions]
        numbers = torch.tensor([camera_numbers(*pair) for pair in zip(told, poses, strict=True)])  # [B, 4]
        joined = torch.cat([self._embeddings[chosen], numbers.to(self._embeddings)], dim=-1)[:, None]
        home, noisy = noisy.device, noisy.to(self._patcher.load_device)  # the fit may be elsewhere
        latents = self._latents[chosen].to(noisy)
        tokens = self._model.cc_projection(joined.to(noisy.device))  # [B, 1, 768]
        num_halves = 1 if guidance_scale == 1 else 2
        if num_halves == 2:
            tokens = torch.cat([tokens, torch.zeros_like(tokens)])  # [2B, 1, 768]
            latents = torch.cat([latents, torch.zeros_like(latents)])  # [2B, 4, 32, 32]
        signal = self.alphas_cumprod[timesteps].to(noisy).repeat(num_halves)  # [HB]
        sigma = ((1 - signal) / signal).sqrt()
        seen = noisy.repeat(num_halves, 1, 1, 1) / signal.sqrt()[:, None, None, None]
        clean = self._model.apply_model(seen, sigma, c_concat=latents, c_crossattn=tokens).float()
        cond, *uncond = ((seen - clean) / sigma[:, None, None, None]).split(len(noisy))
        return (uncond[0] + guidance_scale * (cond - uncond[0]) if uncond else cond).to(home)


def camera_numbers(condition: OrbitPose, target: OrbitPose) -> list[float]:
    """Return what Stable-Zero123 is told of two cameras; the last number is the condition's polar angle."""
    return [*turn_between(condition, target), math.radians(90 - condition.elevation_deg)]
