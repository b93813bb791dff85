"""Zero123 (arXiv 2303.11328): a diffusion model of an object's image from one pose, given one from another.

It is conditioned on an image twice: the CLIP embedding, together with four pose numbers, is projected to the
one token that the UNet attends to; and the VAE latents, unscaled, are four further input channels. Layout and
numbers are those of the published ``zero123-xl-diffusers`` folder.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ConfigMixin, DDIMScheduler, ModelMixin, UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn.functional import interpolate
from transformers import CLIPVisionModelWithProjection

from ..devices import to_device
from ..geometry import OrbitPose
from .folders import check_module, load_module, weight_sums
from .image_processors import load_image_processor
from .json_files import shown
from .model_index import model_root
from .noise_schedule import load_scheduler
from .pose_conditioning import (
    POSE_NUMBERS,
    PoseConditioning,
    pose_conditioning_of,
    pose_numbers,
    read_guidance_index,
)

_MAX_SAMPLE_SIZE = 512  # latent pixels; published models have 32

_logger = logging.getLogger(__name__)


class CameraProjection(ModelMixin, ConfigMixin):
    """Linear layer from a CLIP embedding and the pose numbers to the token that the UNet attends to.

    Args:
        embedding_dim: Dimension D of the CLIP embedding and of the token.
        additional_embeddings: Number of pose numbers.
    """

    @register_to_config
    def __init__(self, embedding_dim: int = 768, additional_embeddings: int = POSE_NUMBERS) -> None:
        super().__init__()
        self.proj = nn.Linear(embedding_dim + additional_embeddings, embedding_dim)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return tokens [..., D] of [..., D + 4]."""
        return self.proj(embeddings)


class Zero123Model(nn.Module):
    """Networks and noise schedule of Zero123, a ``PoseConditionedNetwork``; moves and casts as one module.

    Args:
        unet: UNet whose input is noisy and conditioning latents, concatenated along the channels.
        vae: Autoencoder between images and latents.
        image_encoder: CLIP image encoder.
        camera_projection: See its class.
        alphas_cumprod: [T] cumulative products of the noise schedule's alphas; they stay on the CPU.
        prediction_type: Type of the UNet's output, ``epsilon`` or ``v_prediction``.
        processor: Image processor of the image encoder.
        pose_conditioning: Meaning of the last of the pose numbers.
    """

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
        pose_conditioning: PoseConditioning = "zero123",
    ) -> None:
        super().__init__()
        self.unet, self.vae, self.image_encoder = unet, vae, image_encoder
        self.camera_projection, self.processor = camera_projection, processor
        self.prediction_type, self.pose_conditioning = prediction_type, pose_conditioning
        self.alphas_cumprod = alphas_cumprod

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Return channels, height and width of the latents."""
        side = self.unet.config.sample_size
        return self.vae.config.latent_channels, side, side

    @property
    def image_size(self) -> int:
        """Return the pixels along each side of the images that the model was trained on."""
        return self.unet.config.sample_size * 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def key_parts(self) -> tuple[object, ...]:
        """See ``PoseConditionedNetwork``."""
        sums = weight_sums(self.unet, self.vae, self.image_encoder, self.camera_projection)
        schedule = self.alphas_cumprod.tolist()
        parts = self.vae.dtype, self.prediction_type, self.processor.to_dict(), schedule, sums
        is_default = self.pose_conditioning == "zero123"  # keys of earlier versions lack it
        return parts if is_default else (*parts, self.pose_conditioning)

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the unscaled latents, float32 [B, C, h, w], differentiably.

        Args:
            images: [B, S, S, 3] in 0..1, of any size.
        """
        images_bchw = self._resized(images) * 2 - 1
        latent_dist = self.vae.encode(images_bchw.to(self.vae.device, self.vae.dtype)).latent_dist
        return latent_dist.mean.float(), latent_dist.std.float()

    def encode(self, images: Tensor, noise: Tensor) -> Tensor:
        """Return scaled latents [B, C, h, w] of renders [B, S, S, 3]; see ``PoseConditionedNetwork``."""
        mean, std = self.posterior(images)
        return ((mean + std * noise.to(mean)) * self.vae.config.scaling_factor).to(images.device)

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        """Return CLIP embeddings [B, D] of images [B, S, S, 3] in 0..1."""
        quantized = (self._resized(images) * 255).round().clamp(0, 255).to(torch.uint8)
        pixels = self.processor(
            images=[image.permute(1, 2, 0).cpu().numpy() for image in quantized], return_tensors="pt"
        ).pixel_values
        return self.image_encoder(pixels.to(self.vae.device, self.vae.dtype)).image_embeds

    @torch.no_grad()
    def encode_conditioning(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return unscaled latents [B, C, h, w] of images [B, S, S, 3], sampled from the posterior."""
        mean, std = self.posterior(images)
        return (mean + std * torch.randn(mean.shape, generator=generator).to(mean)).to(self.vae.dtype)

    def tokens(
        self, embeddings: Tensor, conditions: Sequence[OrbitPose], targets: Sequence[OrbitPose]
    ) -> Tensor:
        """Return the tokens [B, 1, D] of CLIP embeddings [B, D] for B pairs of poses."""
        pairs = zip(conditions, targets, strict=True)
        numbers = torch.tensor([pose_numbers(*pair, self.pose_conditioning) for pair in pairs])  # [B, 4]
        numbers = to_device(numbers, embeddings.device).to(embeddings)
        return self.camera_projection(torch.cat([embeddings, numbers], dim=-1))[:, None]

    def predict(self, noisy: Tensor, timesteps: Tensor, latents: Tensor, tokens: Tensor) -> Tensor:
        """Return the UNet's output for noisy scaled latents, float32 [B, C, h, w]."""
        inputs = torch.cat([noisy.to(latents), latents], dim=1).to(self.unet.dtype)  # [B, 2C, h, w]
        timesteps = to_device(timesteps, latents.device)
        return self.unet(inputs, timesteps, tokens.to(self.unet.dtype)).sample.float()

    def to_noise_prediction(self, output: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
        """Return the noise prediction that the UNet's output stands for; see ``PoseConditionedNetwork``."""
        if self.prediction_type == "epsilon":
            return output
        alpha_bar = to_device(self.alphas_cumprod[timesteps], output.device).to(output)[:, None, None, None]
        return alpha_bar.sqrt() * output + (1 - alpha_bar).sqrt() * noisy.to(output)  # Salimans and Ho 2022

    def _resized(self, images: Tensor) -> Tensor:
        """Return images [B, S, S, 3] as [B, 3, s, s] at the model's size; bilinear, as the official code."""
        size = (self.image_size, self.image_size)
        return interpolate(images.permute(0, 3, 1, 2), size=size, mode="bilinear", align_corners=False)


def load_guidance_model(
    folder: str | Path,
    *,
    pose_conditioning: PoseConditioning | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Zero123Model:
    """Load a Zero123 model from a folder in the layout of ``zero123-xl-diffusers``.

    Args:
        folder: Holds ``model_index.json`` and a subfolder per network; weights as safetensors or ``.bin``.
        pose_conditioning: Meaning of the last of the pose numbers; None takes that of the index, else that of
            Stable-Zero123 if the files name it, else assumes that of Zero123-XL, and logs what it assumed.
        device: Device of the networks.
        dtype: Data type of the networks.

    Raises:
        FileNotFoundError: if the folder or a file in it is missing.
        ValueError: if it holds a model of another kind, a file is damaged or does not fit the others, or the
            pose conditioning is unclear.
    """
    root = model_root(folder)
    index = read_guidance_index(root)
    conditioning, assumption = pose_conditioning_of(index, root, pose_conditioning)
    if assumption:
        _logger.warning(assumption)
    model = _assembled(root, conditioning, lambda kind, name: load_module(kind, root, name, dtype))
    return model.eval().to(device)


def check_guidance_model(folder: str | Path, *, pose_conditioning: PoseConditioning | None = None) -> None:
    """Raise the errors of ``load_guidance_model`` that can be found without reading the weights.

    The arguments are those of ``load_guidance_model``, which may be called hours later.
    """
    root = model_root(folder)
    conditioning, _ = pose_conditioning_of(read_guidance_index(root), root, pose_conditioning)
    _assembled(root, conditioning, lambda kind, name: check_module(kind, root, name))


def _assembled(
    root: Path, conditioning: PoseConditioning, network: Callable[[Any, str], Any]
) -> Zero123Model:
    """Return the model of a folder from its networks, given by class and subfolder."""
    scheduler = load_scheduler(DDIMScheduler, root, prediction_type="epsilon")
    image_encoder = network(CLIPVisionModelWithProjection, "image_encoder")
    side = image_encoder.config.image_size
    model = Zero123Model(
        unet=network(UNet2DConditionModel, "unet"),
        vae=network(AutoencoderKL, "vae"),
        image_encoder=image_encoder,
        camera_projection=network(CameraProjection, "clip_camera_projection"),
        alphas_cumprod=scheduler.alphas_cumprod,
        prediction_type=scheduler.config.prediction_type,
        processor=load_image_processor(root, "feature_extractor", side=side),
        pose_conditioning=conditioning,
    )
    _check_fit(root, model)
    return model


def _check_fit(root: Path, model: Zero123Model) -> None:
    """Raise ValueError unless the dimensions of a folder's parts match."""
    channels, width = model.vae.config.latent_channels, model.unet.config.cross_attention_dim
    projection, embedding = model.camera_projection.config, model.image_encoder.config.projection_dim
    for what, found, expected in (
        ("unet: in_channels", model.unet.config.in_channels, 2 * channels),
        ("unet: out_channels", model.unet.config.out_channels, channels),
        ("image_encoder: projection_dim", embedding, projection.embedding_dim),
        ("clip_camera_projection: embedding_dim", projection.embedding_dim, width),
        ("clip_camera_projection: additional_embeddings", projection.additional_embeddings, POSE_NUMBERS),
    ):
        if found != expected:
            raise ValueError(f"{root}: {what} is {found}; expected {expected}, as its other parts have.")
    size = model.unet.config.sample_size
    if type(size) is not int or not 1 <= size <= _MAX_SAMPLE_SIZE:
        raise ValueError(
            f"{root}: unet: sample_size is {shown(size)}; expected 1 to {_MAX_SAMPLE_SIZE} latent pixels."
        )
