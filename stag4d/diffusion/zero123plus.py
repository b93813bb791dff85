"""Zero123++ (arXiv 2310.15110): loading, conditioning, and decoding of its latents.

The prompt is always empty, so its embeddings are computed when the model is loaded and the text encoder is
released. Numbers and order of operations are the published pipeline's (Apache-2.0).
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, EulerAncestralDiscreteScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPVisionModelWithProjection

from ..geometry import RigName
from ..geometry.pose_json import finite_number, whole_number
from ..progress import Check, Monitor, never_cancel, silent
from ..resume import input_key
from .attention import install_reference_attention
from .conditioning import Conditioning
from .empty_prompt import empty_prompt_embeddings
from .folders import load_module, weight_sums
from .image_processors import load_image_processor, processed_size
from .json_files import shown
from .model_index import INDEX, SETTINGS_KEY, Setting, model_root, pipeline_class, read_index, settings_of
from .noise import COND, UNCOND, NoiseSource
from .noise_schedule import load_scheduler
from .sampling_config import SamplingConfig
from .view_grid import MULTIVIEW_SETTINGS, ViewGrid, grid_of

_logger = logging.getLogger(__name__)

_MAX_RAMP = 1e6  # published: 0 to about 1
GRAY = 127  # of 255, the background of the conditioning images


class MultiViewModel(nn.Module):
    """Networks, buffers and settings of a multi-view model; moves and casts as one module.

    Args:
        unet: UNet with reference attention installed.
        vae: Autoencoder between images and latents.
        vision_encoder: CLIP image encoder.
        uncond_embeddings: [1, K, D] prompt embeddings of the empty prompt.
        ramp: [K] weight of the image embedding in each text state.
        scheduler: Its configuration decides noise levels and the prediction type.
        processors: Image processors of the VAE and of the vision encoder.
        grid: Layout and cameras of the views.
        sampling: Recommended sampling settings.

    Attributes:
        grid_size: Height and width of the grid's latent.

    Raises:
        ValueError: if the VAE cannot produce the grid's tiles.
    """

    uncond_embeddings: Tensor
    ramp: Tensor

    def __init__(
        self,
        *,
        unet: UNet2DConditionModel,
        vae: AutoencoderKL,
        vision_encoder: CLIPVisionModelWithProjection,
        uncond_embeddings: Tensor,
        ramp: Tensor,
        scheduler: EulerAncestralDiscreteScheduler,
        processors: tuple[Any, Any],
        grid: ViewGrid,
        sampling: SamplingConfig,
    ) -> None:
        super().__init__()
        self.unet, self.vae, self.vision_encoder = unet, vae, vision_encoder
        self.register_buffer("uncond_embeddings", uncond_embeddings, persistent=False)
        self.register_buffer("ramp", ramp, persistent=False)
        self.scheduler, self.grid, self.sampling = scheduler, grid, sampling
        self.processors = processors
        self.grid_size = grid.latent_size(_pixels_per_latent(vae))

    def with_grid(self, grid: ViewGrid) -> MultiViewModel:
        """Return the model with another grid; both share the networks, wherever these are moved."""
        other = copy.copy(self)
        other.grid, other.grid_size = grid, grid.latent_size(_pixels_per_latent(self.vae))
        return other

    @property
    def pixels_per_latent(self) -> int:
        """Return the pixels along each side of one latent pixel."""
        return _pixels_per_latent(self.vae)

    @property
    def image_size(self) -> int:
        """Return the largest number of pixels, along each side, of the images that its networks are given."""
        return max(map(processed_size, self.processors))

    def fingerprint(self, check: Check = never_cancel) -> str:
        """Return a hash of the model for resume keys: its settings, and a checksum of each weight.

        Args:
            check: Called before each weight; raises an exception to cancel.
        """
        config = self.scheduler.config  # names with an underscore are diffusers' own, in no fixed order
        schedule = sorted((name, value) for name, value in config.items() if not name.startswith("_"))
        settings: list[object] = [schedule, self.grid, self.unet.dtype]
        settings += [processor.to_dict() for processor in self.processors]
        settings.append(weight_sums(self.unet, self.vae, self.vision_encoder, check=check))
        return input_key(repr(settings), self.uncond_embeddings.float(), self.ramp.float())

    @torch.no_grad()
    def encode_conditioning(
        self, images: Tensor, alphas: Tensor, noise: NoiseSource, monitor: Monitor = silent
    ) -> Conditioning:
        """Encode frames, one after the other.

        Args:
            images: [F, S, S, 3] straight colors.
            alphas: [F, S, S].
            noise: Source of the noise that samples the VAE's posterior.
            monitor: Called at the start, after each frame, and between the passes through the networks.

        Returns:
            The conditioning, on the model's device.
        """
        device = self.vae.device  # a host that moves weights layer by layer may leave buffers where they were
        uncond_embeddings, ramp = self.uncond_embeddings.to(device), self.ramp.to(device)
        cond_embeddings, references = [], []
        blank: Any = None
        for frame in range(len(images)):
            check = partial(monitor, "encode", frame, len(images))
            check()
            image = gray_background(images[frame], alphas[frame])
            embedding = self._pixels(self.processors[1], image)
            embedding = self.vision_encoder(embedding).image_embeds.float()  # [1, D]
            cond_embeddings.append(uncond_embeddings + embedding[:, None] * ramp[:, None])  # [1, K, D]
            pixels = self._pixels(self.processors[0], image)  # [1, 3, H, W]
            check()
            if blank is None:  # the same for all frames
                blank = self.vae.encode(torch.zeros_like(pixels)).latent_dist
                check()
            latents = []
            for branch, posterior in ((UNCOND, blank), (COND, self.vae.encode(pixels).latent_dist)):
                fresh = noise.posterior(frame, branch, tuple(posterior.mean.shape[1:])).to(posterior.mean)
                latents.append(posterior.mean + posterior.std * fresh)  # [1, C, h, w]
            references.append(torch.cat(latents))
            monitor("encode", frame + 1, len(images))
        return Conditioning(uncond_embeddings, torch.cat(cond_embeddings), torch.stack(references).float())

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Return the views [V, S, S, 3], 0..1, of one frame's latents [C, h, w], float32 on the CPU."""
        unscaled = self.grid.unscaled(latents[None]) / self.vae.config.scaling_factor
        pixels = (
            self.vae.decode(unscaled.to(self.vae.device, self.vae.dtype)).sample[0].float()
            / self.grid.image_scale
        )
        image = (pixels / 2 + 0.5).clamp(0, 1).permute(1, 2, 0)  # [H, W, 3]
        return self.grid.views_of(image).cpu()

    def _pixels(self, processor: Any, image: Any) -> Tensor:
        """Return a NumPy image [H, W, 3] as network input, [1, 3, H, W]."""
        return processor(images=[image], return_tensors="pt").pixel_values.to(self.vae.device, self.vae.dtype)


def load_multiview_model(
    folder: str | Path,
    *,
    rig: RigName | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> MultiViewModel:
    """Load a Zero123++ model from a folder as published.

    Args:
        folder: Holds ``model_index.json`` and a subfolder per network; weights as safetensors or ``.bin``.
        rig: Cameras of its views; None takes those of the index, else those of the version that the folder's
            files name, else assumes v1.1, and logs what it assumed.
        device: Device of the networks.
        dtype: Data type of the networks.

    Raises:
        FileNotFoundError: if the folder or a file in it is missing.
        ValueError: if it holds a model of another kind, a file is damaged or does not fit the others, or the
            rig is unclear.
    """
    root = model_root(folder)
    index = read_index(root, "a model folder in diffusers' layout, as Zero123++ is published")
    ramp, grid, sampling = ramp_of(index, root), grid_of(index, root, rig), _sampling(index)
    if grid.assumption:
        _logger.warning(grid.assumption)
    scheduler = load_scheduler(EulerAncestralDiscreteScheduler, root, timestep_spacing="trailing")
    uncond_embeddings = empty_prompt_embeddings(root)  # first: the text encoder is released at once
    unet = load_module(UNet2DConditionModel, root, "unet", dtype)
    vae = load_module(AutoencoderKL, root, "vae", dtype)
    vision_encoder = load_module(CLIPVisionModelWithProjection, root, "vision_encoder", dtype)
    _check_fit(root, unet, vae, vision_encoder, uncond_embeddings, ramp)
    install_reference_attention(unet)
    model = MultiViewModel(
        unet=unet,
        vae=vae,
        vision_encoder=vision_encoder,
        uncond_embeddings=uncond_embeddings,
        ramp=ramp,
        scheduler=scheduler,
        processors=(
            load_image_processor(root, "feature_extractor_vae", multiple=_pixels_per_latent(vae)),
            load_image_processor(root, "feature_extractor_clip", side=vision_encoder.config.image_size),
        ),
        grid=grid,
        sampling=sampling,
    )
    return model.eval().to(device)


def read_image_size(folder: str | Path) -> int:
    """Return ``MultiViewModel.image_size`` of the model in a folder, without loading its networks.

    Raises:
        FileNotFoundError: if the configuration of an image processor is missing.
        ValueError: if it is damaged.
    """
    root = model_root(folder)
    names = ("feature_extractor_vae", "feature_extractor_clip")
    return max(processed_size(load_image_processor(root, name)) for name in names)


def read_sampling(folder: str | Path) -> SamplingConfig:
    """Return the recommended sampling settings of the model in a folder; no network is loaded.

    Raises:
        FileNotFoundError: if it has no index.
        ValueError: if the index is damaged.
    """
    return _sampling(read_index(model_root(folder), "a model folder in diffusers' layout"))


def _pixels_per_latent(vae: AutoencoderKL) -> int:
    """Return the pixels along each side of one latent pixel."""
    return int(2 ** (len(vae.config.block_out_channels) - 1))


def _sampling(index: dict[str, Any]) -> SamplingConfig:
    """Return the index's recommended sampling settings, else the official ones; ValueError if malformed."""
    default = Setting({}, f"{INDEX}: {SETTINGS_KEY}.sampling")
    setting = settings_of(index, MULTIVIEW_SETTINGS).get("sampling", default)
    values, field = setting.value, setting.field
    readers: dict[str, Callable[[object, str], float]] = {
        "num_steps": whole_number,
        "guidance_scale": finite_number,
    }
    if not isinstance(values, dict) or not values.keys() <= readers.keys():
        raise ValueError(f"{field} is {shown(values)}; expected an object with {' and '.join(readers)}.")
    numbers: dict[str, Any] = {key: readers[key](value, f"{field}.{key}") for key, value in values.items()}
    try:
        return SamplingConfig(**numbers)
    except ValueError as error:
        raise ValueError(f"{field.removesuffix('sampling')}{error}") from error


def ramp_of(index: dict[str, Any], root: Path) -> Tensor:
    """Return the ramping coefficients [K] of an index; raises ValueError if it is of another model class."""
    kind = pipeline_class(index)
    if kind != "Zero123PlusPipeline":
        raise ValueError(f"{root}: holds a {kind}; expected a Zero123PlusPipeline, a multi-view model.")
    ramp: Any = index.get("ramping_coefficients")
    is_list = isinstance(ramp, list)
    if not is_list or not all(type(value) in (int, float) and abs(value) < _MAX_RAMP for value in ramp):
        raise ValueError(
            f"{root / INDEX}: ramping_coefficients is {shown(ramp)}; expected a list of numbers, one per "
            "text token."
        )
    return torch.tensor(ramp, dtype=torch.float32)


def _check_fit(
    root: Path,
    unet: UNet2DConditionModel,
    vae: AutoencoderKL,
    vision_encoder: CLIPVisionModelWithProjection,
    uncond_embeddings: Tensor,
    ramp: Tensor,
) -> None:
    """Raise ValueError unless the dimensions of a folder's parts match."""
    channels, width = vae.config.latent_channels, unet.config.cross_attention_dim
    for what, found, expected in (
        ("unet: in_channels", unet.config.in_channels, channels),
        ("unet: out_channels", unet.config.out_channels, channels),
        ("vision_encoder: projection_dim", vision_encoder.config.projection_dim, width),
        ("text_encoder: hidden_size", uncond_embeddings.shape[-1], width),
        ("model_index.json: number of ramping_coefficients", len(ramp), uncond_embeddings.shape[1]),
    ):
        if found != expected:
            raise ValueError(f"{root}: {what} is {found}; expected {expected}, as its other parts have.")


def gray_background(image: Tensor, alpha: Tensor) -> Any:
    """Return a frame composited on gray as a NumPy array, uint8 [S, S, 3]."""
    alpha = alpha[..., None]
    composited = image * alpha + GRAY / 255 * (1 - alpha)
    return (composited * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
