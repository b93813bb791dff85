"""Zero123 (arXiv 2303.11328): a posed image prior, which knows how a pictured object looks from elsewhere.

It is conditioned on a picture twice: its CLIP embedding, with four camera numbers, is projected to the one
token that the UNet attends to; and its VAE latents, unscaled, are four further input channels. Layout and
numbers are those of the published ``zero123-xl-diffusers`` folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ConfigMixin, DDIMScheduler, ModelMixin, UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn.functional import interpolate
from transformers import CLIPVisionModelWithProjection

from ..geometry import OrbitPose, turn_between
from ..types import ViewSet
from .denoiser import PREDICTION_TYPES
from .folders import load_image_processor, load_module, read_json, reading, weight_sums

CAMERA_NUMBERS = 4  # polar angle, sine and cosine of the azimuth, radius: differences of target and condition


class CameraProjection(ModelMixin, ConfigMixin):
    """From a CLIP embedding and the camera numbers to the token that the UNet attends to: a linear layer.

    Args:
        embedding_dim: Of the CLIP embedding and of the token.
        additional_embeddings: Camera numbers.
    """

    @register_to_config
    def __init__(self, embedding_dim: int = 768, additional_embeddings: int = CAMERA_NUMBERS) -> None:
        super().__init__()
        self.proj = nn.Linear(embedding_dim + additional_embeddings, embedding_dim)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return tokens [..., D] of [..., D + 4]."""
        return self.proj(embeddings)


class Zero123Model(nn.Module):
    """Networks and numbers of a posed prior; moves and casts as one module.

    Args:
        unet: Takes noisy and condition latents, channel by channel.
        vae: Between pictures and latents.
        image_encoder: Embeds the condition.
        camera_projection: See its class.
        alphas_cumprod: [T] share of the signal at each timestep.
        prediction_type: What the UNet says of noisy latents, ``epsilon`` or ``v_prediction``.
        processor: Of pictures for the image encoder.
    """

    alphas_cumprod: Tensor

    def __init__(
        self,
        *,
        unet: UNet2DConditionModel,
        vae: AutoencoderKL,
        image_encoder: CLIPVisionModelWithProjection,
        camera_projection: CameraProjection,
        alphas_cumprod: Tensor,
        prediction_type: str,
        processor: Any,
    ) -> None:
        super().__init__()
        self.unet, self.vae, self.image_encoder = unet, vae, image_encoder
        self.camera_projection, self.processor = camera_projection, processor
        self.prediction_type = prediction_type
        self.register_buffer("alphas_cumprod", alphas_cumprod, persistent=False)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Return channels, height and width of a latent."""
        side = self.unet.config.sample_size
        return self.vae.config.latent_channels, side, side

    @property
    def image_size(self) -> int:
        """Return the pixels along each side of the pictures that it knows."""
        return self.unet.config.sample_size * 2 ** (len(self.vae.config.block_out_channels) - 1)

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the unscaled latents, float32 [B, C, h, w], differentiably.

        Args:
            images: [B, S, S, 3] in 0..1, of any size.
        """
        images_bchw = self._resized(images) * 2 - 1
        found = self.vae.encode(images_bchw.to(self.vae.device, self.vae.dtype)).latent_dist
        return found.mean.float(), found.std.float()

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        """Return CLIP embeddings [B, D] of pictures [B, S, S, 3] in 0..1."""
        pictures = (self._resized(images) * 255).round().clamp(0, 255).to(torch.uint8)
        pixels = self.processor(
            images=[picture.permute(1, 2, 0).cpu().numpy() for picture in pictures], return_tensors="pt"
        ).pixel_values
        return self.image_encoder(pixels.to(self.vae.device, self.vae.dtype)).image_embeds

    def _resized(self, images: Tensor) -> Tensor:
        """Return pictures [B, S, S, 3] as [B, 3, s, s] at the model's size, bilinear as the official code."""
        size = (self.image_size, self.image_size)
        return interpolate(images.permute(0, 3, 1, 2), size=size, mode="bilinear", align_corners=False)


def camera_numbers(condition: OrbitPose, target: OrbitPose) -> list[float]:
    """Return what Zero123-XL is told of two cameras; the last number is the difference of their radii, 0."""
    return [*turn_between(condition, target), 0.0]


class Zero123Prior:
    """The prior for one clip: every picture of it is a condition, embedded once.

    Args:
        model: On the device where it is to work.
        views: The clip; composited on white.
        generator: Source of the draws from the VAE's posterior of the conditions.
        on_frame: Called with the number of frames done, after each.
    """

    def __init__(
        self,
        model: Zero123Model,
        views: ViewSet,
        generator: torch.Generator,
        *,
        on_frame: Callable[[int], None] = lambda done: None,
    ) -> None:
        self.model = model
        self.poses: Sequence[OrbitPose] = (views.input_pose, *views.view_poses)
        self.alphas_cumprod = model.alphas_cumprod.cpu()
        self.latent_shape = model.latent_shape
        self._told = _conditions_key(views, generator)  # before the generator goes on
        embeddings, latents = [], []
        for frame in range(views.num_frames):
            pictures = views.on_white(frame)  # [1 + V, S, S, 3]
            embeddings.append(model.embed(pictures))
            with torch.no_grad():
                mean, std = model.posterior(pictures)
            latents.append(
                (mean + std * torch.randn(mean.shape, generator=generator).to(mean)).to(model.vae.dtype)
            )
            on_frame(frame + 1)
        self._embeddings = torch.cat(embeddings)  # [F * (1 + V), D]
        self._latents = torch.cat(latents)  # [F * (1 + V), C, h, w]

    @property
    def key(self) -> str:
        """Return a hash of the model and the conditions: of what is given, whose numbers no device rounds."""
        model = self.model
        sums = weight_sums(model.unet, model.vae, model.image_encoder, model.camera_projection)
        shares = model.alphas_cumprod.tolist()
        said = (model.vae.dtype, model.prediction_type, model.processor.to_dict(), shares, sums, self._told)
        return hashlib.sha256(repr(said).encode()).hexdigest()

    def encode(self, images: Tensor, draws: Tensor) -> Tensor:
        """Return scaled latents [B, C, h, w] of renders [B, S, S, 3], sampled with draws; differentiable.

        They are where the renders are, which may be another device than the model's.
        """
        mean, std = self.model.posterior(images)
        scaled = (mean + std * draws.to(mean)) * self.model.vae.config.scaling_factor
        return scaled.to(images.device)

    @torch.no_grad()
    def predict(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        conditions: Sequence[tuple[int, int]],
        poses: Sequence[OrbitPose],
        guidance_scale: float,
    ) -> Tensor:
        """Return the noise in latents, in one call of the network.

        Args:
            noisy: [B, C, h, w].
            timesteps: [B].
            conditions: Frame and camera, 0 the input's, of the picture that each is told of.
            poses: B cameras from which the latents are seen.
            guidance_scale: Of classifier-free guidance; at 1 only the conditioned half is computed.

        Returns:
            Float32 [B, C, h, w], where ``noisy`` is.
        """
        model, dtype = self.model, self.model.unet.dtype
        chosen = [frame * len(self.poses) + camera for frame, camera in conditions]
        cameras = [
            camera_numbers(self.poses[camera], pose)
            for (_, camera), pose in zip(conditions, poses, strict=True)
        ]
        numbers = torch.tensor(cameras).to(self._embeddings)  # [B, 4]
        tokens = model.camera_projection(torch.cat([self._embeddings[chosen], numbers], dim=-1))[:, None]
        latents = self._latents[chosen]  # [B, C, h, w]
        num_halves = 1 if guidance_scale == 1 else 2
        if num_halves == 2:
            tokens = torch.cat([tokens, torch.zeros_like(tokens)])  # [2B, 1, D]
            latents = torch.cat([latents, torch.zeros_like(latents)])  # [2B, C, h, w]
        predicted = model.unet(
            torch.cat([noisy.to(latents).repeat(num_halves, 1, 1, 1), latents], dim=1).to(dtype),
            timesteps.to(latents.device).repeat(num_halves),
            tokens.to(dtype),
        ).sample
        cond, *uncond = predicted.float().split(len(noisy))
        told = (uncond[0] + guidance_scale * (cond - uncond[0]) if uncond else cond).to(noisy.device)
        if model.prediction_type == "epsilon":
            return told
        signal = self.alphas_cumprod[timesteps.cpu()].to(told)[:, None, None, None]
        return signal.sqrt() * told + (1 - signal).sqrt() * noisy.to(told)  # Salimans and Ho 2022


def _conditions_key(views: ViewSet, generator: torch.Generator) -> str:
    """Return a hash of the pictures that a prior is told of, their cameras, and the draws to come."""
    digest = hashlib.sha256(repr((views.input_pose, views.view_poses)).encode())
    for whole in (views.images, views.alphas, views.view_images, views.view_alphas):
        digest.update(repr(tuple(whole.shape)).encode())
        for frame in whole:  # one at a time: a long clip is not copied whole
            digest.update(frame.detach().cpu().float().contiguous().numpy().tobytes())
    digest.update(generator.get_state().numpy().tobytes())
    return digest.hexdigest()


def load_guidance_model(
    folder: str | Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Zero123Model:
    """Load a Zero123 model from a folder in the layout of ``zero123-xl-diffusers``.

    Args:
        folder: Holds ``model_index.json`` and a subfolder per network; weights as safetensors or ``.bin``.
        device: Where to.
        dtype: Of the networks.

    Raises:
        FileNotFoundError: if the folder or a file in it is missing.
        ValueError: if it holds a model of another kind, or a file is damaged or does not fit the others.
    """
    root = Path(folder)
    index = read_json(root / "model_index.json", "a folder in diffusers' layout, as zero123-xl is published")
    if "clip_camera_projection" not in index:
        raise ValueError(
            f"{root}: holds a {index.get('_class_name')}; expected a posed prior of the Zero123 kind, which "
            "has a clip_camera_projection."
        )
    alphas_cumprod, prediction_type = _noise_schedule(root)
    model = Zero123Model(
        unet=load_module(UNet2DConditionModel, root, "unet", dtype),
        vae=load_module(AutoencoderKL, root, "vae", dtype),
        image_encoder=load_module(CLIPVisionModelWithProjection, root, "image_encoder", dtype),
        camera_projection=load_module(CameraProjection, root, "clip_camera_projection", dtype),
        alphas_cumprod=alphas_cumprod,
        prediction_type=prediction_type,
        processor=load_image_processor(root, "feature_extractor"),
    )
    _check_fit(root, model)
    return model.eval().to(device)


def _noise_schedule(root: Path) -> tuple[Tensor, str]:
    """Return the noise schedule of a folder, float32 [T], and what its UNet says of noisy latents."""
    place = root / "scheduler"
    values = read_json(place / "scheduler_config.json", "the noise schedule")
    kind = values.get("prediction_type", "epsilon")
    if kind not in PREDICTION_TYPES:
        raise ValueError(
            f"{place}: prediction_type is {kind!r}; expected one of {', '.join(PREDICTION_TYPES)}."
        )
    with reading(place, "the noise schedule"):
        return DDIMScheduler.from_config(values).alphas_cumprod, kind


def _check_fit(root: Path, model: Zero123Model) -> None:
    """Raise ValueError unless the parts of a folder fit each other."""
    channels, width = model.vae.config.latent_channels, model.unet.config.cross_attention_dim
    projection, embedding = model.camera_projection.config, model.image_encoder.config.projection_dim
    for what, found, expected in (
        ("unet: in_channels", model.unet.config.in_channels, 2 * channels),
        ("unet: out_channels", model.unet.config.out_channels, channels),
        ("image_encoder: projection_dim", embedding, projection.embedding_dim),
        ("clip_camera_projection: embedding_dim", projection.embedding_dim, width),
        ("clip_camera_projection: additional_embeddings", projection.additional_embeddings, CAMERA_NUMBERS),
    ):
        if found != expected:
            raise ValueError(f"{root}: {what} is {found}; expected {expected}, as its other parts have.")
