"""Parts of a multi-view model's folder, for a program that builds the networks with classes of its own.

``load_multiview_model`` loads all of them as one model; here, each is read on its own, and no network of
another part is loaded.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, EulerAncestralDiscreteScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPVisionModelWithProjection

from ..geometry import RigName, zero123plus_rig
from .attention import install_reference_attention
from .folders import load_module
from .image_processors import default_processor, load_image_processor
from .json_files import read_json
from .model_index import model_root, read_index
from .network_config import check_kind, network_config
from .noise_schedule import load_scheduler
from .view_grid import ViewGrid, grid_of
from .weight_files import Library, find_weights
from .zero123plus import gray_background, ramp_of

_KINDS = {
    "unet": UNet2DConditionModel,
    "vae": AutoencoderKL,
    "vision_encoder": CLIPVisionModelWithProjection,
}
_EXPECTED = "a model folder in diffusers' layout, as Zero123++ is published"


@dataclass(frozen=True, eq=False)
class MultiViewRig:
    """Cameras and image formats of a multi-view model: what its networks do not contain.

    Attributes:
        grid: Layout and cameras of the views.
        ramp: [K] weight of the image embedding in each text token; None: linear from 0 to 1.
        processor: Image processor of the VAE; see ``reference_pixels``.
    """

    grid: ViewGrid
    ramp: Tensor | None
    processor: Any

    def reference_pixels(self, image: Tensor, alpha: Tensor) -> Tensor:
        """Return a frame as the VAE encodes it, [1, H, W, 3]; -1..1 of the VAE's input is 0..1 here.

        Args:
            image: [S, S, 3] straight colors.
            alpha: [S, S].
        """
        pixels = self.processor(images=[gray_background(image, alpha)], return_tensors="pt").pixel_values
        return pixels.permute(0, 2, 3, 1) / 2 + 0.5

    def embeddings(self, prompt: Tensor, image: Tensor) -> Tensor:
        """Return prompt embeddings [B, K, D] with the images' added to them.

        Args:
            prompt: [1, K, D] embeddings of the empty prompt.
            image: [B, D] CLIP embeddings of the frames.

        Raises:
            ValueError: if the sizes do not match.
        """
        length, width = prompt.shape[1:]
        ramp = torch.linspace(0, 1, length) if self.ramp is None else self.ramp
        if len(ramp) != length or image.shape[-1] != width:
            raise ValueError(
                f"conditioning: the prompt has {length} tokens of size {width}, the rig {len(ramp)} ramping "
                f"coefficients, and the image embeddings have size {image.shape[-1]}; expected the parts of "
                "one model."
            )
        return prompt + image[:, None] * ramp[:, None].to(image)


def read_rig(folder: str | Path, rig: RigName | None = None) -> MultiViewRig:
    """Return the rig of the model in a folder; no network is loaded.

    Args:
        folder: See ``load_multiview_model``.
        rig: The user's choice of the cameras, which takes precedence.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is damaged, or the rig is unclear.
    """
    root = model_root(folder)
    index = read_index(root, _EXPECTED)
    processor = load_image_processor(root, "feature_extractor_vae")
    return MultiViewRig(grid_of(index, root, rig), ramp_of(index, root), processor)


def published_rig(rig: RigName, ramp: Tensor | None = None) -> MultiViewRig:
    """Return the rig of a published model, for networks whose folder is not at hand.

    Args:
        rig: Its cameras.
        ramp: [K], see ``MultiViewRig``.
    """
    grid = ViewGrid(poses=zero123plus_rig(rig))
    return MultiViewRig(grid, ramp, default_processor(grid.tile_size, mean=0.5, std=0.8))


def network_settings(folder: str | Path, name: str) -> dict[str, Any]:
    """Return the configuration of a network, with the defaults of its library for what the file lacks.

    Args:
        folder: The model's folder.
        name: ``unet``, ``vae`` or ``vision_encoder``.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if it is damaged, or describes another kind of network.
    """
    path, kind = model_root(folder) / name / "config.json", _KINDS[name]
    values = read_json(path, f"the configuration of {name}")
    check_kind(kind, values, path)
    if kind is CLIPVisionModelWithProjection:
        settings: dict[str, Any] = network_config(kind, values).to_dict()
        return settings
    parameters = inspect.signature(kind.__init__).parameters
    return {key: item.default for key, item in parameters.items() if key != "self"} | values


def weight_paths(folder: str | Path, name: str) -> tuple[Path, ...]:
    """Return the weight files of a network: one, or all shards; see ``find_weights`` for the errors."""
    library: Library = "transformers" if _KINDS[name] is CLIPVisionModelWithProjection else "diffusers"
    return find_weights(model_root(folder) / name, library).paths


def vision_processor(folder: str | Path, side: int) -> Any:
    """Return the image processor of the vision encoder, whose images have ``side`` pixels along each side."""
    return load_image_processor(model_root(folder), "feature_extractor_clip", side=side)


def load_schedule(folder: str | Path) -> Any:
    """Return the scheduler of a multi-view model, with trailing timesteps; see ``load_scheduler``."""
    return load_scheduler(EulerAncestralDiscreteScheduler, model_root(folder), timestep_spacing="trailing")


def load_unet(folder: str | Path, dtype: torch.dtype) -> Any:
    """Return the UNet of a multi-view model with reference attention installed; see ``load_module``."""
    unet = load_module(UNet2DConditionModel, model_root(folder), "unet", dtype)
    install_reference_attention(unet)
    return unet


def load_vae(folder: str | Path) -> Any:
    """Return the VAE of a multi-view model in float32; see ``load_module``."""
    return load_module(AutoencoderKL, model_root(folder), "vae", torch.float32)


def trailing_timesteps(num_steps: int, num_train_timesteps: int) -> list[int]:
    """Return the timesteps of diffusers' ``timestep_spacing="trailing"``: from the last one, evenly spaced.

    Args:
        num_steps: Diffusion steps.
        num_train_timesteps: Timesteps of the noise schedule, 1000 of published models.
    """
    ratio = num_train_timesteps / num_steps
    # Rounding gives some counts, such as 61, one timestep more: in diffusers -1, with the lowest noise level.
    steps = np.arange(num_train_timesteps, 0, -ratio)
    return [max(int(step) - 1, 0) for step in steps.round()]
