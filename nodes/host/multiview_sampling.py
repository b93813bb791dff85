"""Latent format and noise schedule of multi-view models, as ComfyUI's MODEL has them."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import comfy.latent_formats
import comfy.model_base
import torch

if TYPE_CHECKING:
    from ...stag4d.diffusion import ViewGrid

SCALING_FACTOR = 0.18215  # of the published models' VAE latents
LATENT_CHANNELS = 4
PUBLISHED_SCHEDULE = {"beta_schedule": "sqrt_linear", "linear_start": 0.00085, "linear_end": 0.012}
_SCHEDULES = {"linear": "sqrt_linear", "scaled_linear": "linear"}  # ComfyUI's names by diffusers'


class MultiViewLatents(comfy.latent_formats.LatentFormat):
    """UNet latents (scaling_factor * v - latent_shift) * latent_scale of VAE latents v; see ``ViewGrid``.

    Args:
        grid: Layout and scales of the model's grid image.
        scaling_factor: Scale of the VAE's latents.
        channels: Number of their channels; previews are known for four.
        pixels: Pixels along each side of one latent pixel.
    """

    def __init__(
        self,
        grid: ViewGrid,
        scaling_factor: float = SCALING_FACTOR,
        channels: int = LATENT_CHANNELS,
        pixels: int = 8,
    ) -> None:
        self.scale_factor, self.latent_channels, self.spacial_downscale_ratio = (
            scaling_factor,
            channels,
            pixels,
        )
        self.latent_scale, self.latent_shift = grid.latent_scale, grid.latent_shift
        if channels == LATENT_CHANNELS:  # ComfyUI's colors of VAE latents, in terms of the UNet's
            colors = torch.tensor(comfy.latent_formats.SD15().latent_rgb_factors) / grid.image_scale  # [4, 3]
            self.latent_rgb_factors = (colors / self.latent_scale).tolist()
            self.latent_rgb_factors_bias = (colors.sum(0) * self.latent_shift).tolist()

    def process_in(self, latent: torch.Tensor) -> torch.Tensor:
        """Return the UNet's latents of VAE latents."""
        return (latent * self.scale_factor - self.latent_shift) * self.latent_scale

    def process_out(self, latent: torch.Tensor) -> torch.Tensor:
        """Return the VAE latents of the UNet's."""
        return (latent / self.latent_scale + self.latent_shift) / self.scale_factor


def sampling_settings(schedule: Mapping[str, Any]) -> dict[str, Any]:
    """Return ComfyUI's settings of a noise schedule of diffusers.

    Args:
        schedule: Configuration of the scheduler.

    Raises:
        ValueError: if ComfyUI has no such schedule.
    """
    name = schedule["beta_schedule"]
    if name not in _SCHEDULES or schedule.get("trained_betas") is not None:
        raise ValueError(
            f"scheduler: beta_schedule is {name!r}, or betas are listed; expected linear or scaled_linear, "
            "which ComfyUI has, too."
        )
    return {
        "beta_schedule": _SCHEDULES[name],
        "linear_start": schedule["beta_start"],
        "linear_end": schedule["beta_end"],
        "timesteps": schedule["num_train_timesteps"],
        "zsnr": bool(schedule.get("rescale_betas_zero_snr")),
    }


def published_sampling(settings: Mapping[str, Any] = PUBLISHED_SCHEDULE) -> Any:
    """Return the ``model_sampling`` of published models: v-prediction with linear betas.

    Args:
        settings: ComfyUI's settings of a noise schedule.
    """
    config = SimpleNamespace(sampling_settings=dict(settings))
    return comfy.model_base.model_sampling(config, comfy.model_base.ModelType.V_PREDICTION)
