"""A quick look at latents: colors that are linear in them, fitted to what a VAE makes of a colored chart."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .zero123plus import MultiViewModel

_CHART_CELLS, _CHART_LATENTS = 8, 32  # random colors on a side, latent pixels on a side
_RIDGE = 1e-3


class LatentPreview:
    """Pictures of the UNet's latents, one pixel per latent.

    Args:
        model: Whose latents.
    """

    @torch.no_grad()
    def __init__(self, model: MultiViewModel) -> None:
        self._grid = model.grid
        generator = torch.Generator().manual_seed(0)
        colors = torch.rand(1, 3, _CHART_CELLS, _CHART_CELLS, generator=generator)
        side = _CHART_LATENTS * 2 ** (len(model.vae.config.block_out_channels) - 1)
        chart = interpolate(colors, size=(side, side), mode="bilinear") * 2 - 1
        latents = model.vae.encode(chart.to(model.vae.device, model.vae.dtype)).latent_dist.mean.float()
        inputs = _with_one(latents.cpu()[0])  # [h, w, C + 1]
        targets = interpolate(chart, size=inputs.shape[:2], mode="area")[0].permute(1, 2, 0)  # [h, w, 3]
        inputs, targets = inputs.flatten(0, 1).double(), targets.flatten(0, 1).double()
        normal = inputs.T @ inputs + _RIDGE * len(inputs) * torch.eye(inputs.shape[1], dtype=inputs.dtype)
        self._weights = torch.linalg.solve(normal, inputs.T @ targets).float()  # [C + 1, 3]
        self._scaling_factor = model.vae.config.scaling_factor

    def __call__(self, latents: Tensor) -> Tensor:
        """Return a picture [h, w, 3], 0..1, of one frame's latents [C, h, w]."""
        unscaled = self._grid.unscaled(latents.float().cpu()) / self._scaling_factor
        pixels = _with_one(unscaled) @ self._weights / self._grid.image_scale
        return (pixels / 2 + 0.5).clamp(0, 1)


def _with_one(latents: Tensor) -> Tensor:
    """Return latents [C, h, w] as [h, w, C + 1], a one for the constant term at the end."""
    moved = latents.permute(1, 2, 0)
    return torch.cat([moved, torch.ones_like(moved[..., :1])], dim=-1)
