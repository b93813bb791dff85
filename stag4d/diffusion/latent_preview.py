"""Previews of latents: colors linear in the latents, fitted to the VAE's latents of a color chart."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .zero123plus import MultiViewModel

_CHART_CELLS, _CHART_LATENTS = 8, 32  # random colors on a side, latent pixels on a side
_RIDGE = 1e-3


class LatentPreview:
    """Makes preview images of the UNet's latents, one pixel per latent; the first one fits the colors.

    Args:
        model: The multi-view model whose latents are shown.
    """

    def __init__(self, model: MultiViewModel) -> None:
        self._model = model

    def __call__(self, latents: Tensor) -> Tensor:
        """Return an image [h, w, 3], 0..1, of one frame's latents [C, h, w]."""
        grid, scaling_factor = self._model.grid, self._model.vae.config.scaling_factor
        unscaled = grid.unscaled(latents.float().cpu()) / scaling_factor
        pixels = _with_one(unscaled) @ self._weights / grid.image_scale
        return (pixels / 2 + 0.5).clamp(0, 1)

    @cached_property
    @torch.no_grad()
    def _weights(self) -> Tensor:
        """Weights [C + 1, 3] from latents and a constant to colors: ridge regression on a color chart."""
        vae = self._model.vae
        generator = torch.Generator().manual_seed(0)
        colors = torch.rand(1, 3, _CHART_CELLS, _CHART_CELLS, generator=generator)
        side = _CHART_LATENTS * 2 ** (len(vae.config.block_out_channels) - 1)
        chart = interpolate(colors, size=(side, side), mode="bilinear") * 2 - 1
        latents = vae.encode(chart.to(vae.device, vae.dtype)).latent_dist.mean.float()
        inputs = _with_one(latents.cpu()[0])  # [h, w, C + 1]
        targets = interpolate(chart, size=inputs.shape[:2], mode="area")[0].permute(1, 2, 0)  # [h, w, 3]
        inputs, targets = inputs.flatten(0, 1).double(), targets.flatten(0, 1).double()
        normal = inputs.T @ inputs + _RIDGE * len(inputs) * torch.eye(inputs.shape[1], dtype=inputs.dtype)
        return torch.linalg.solve(normal, inputs.T @ targets).float()


def _with_one(latents: Tensor) -> Tensor:
    """Return latents [C, h, w] as [h, w, C + 1], with a last channel of ones for the constant term."""
    moved = latents.permute(1, 2, 0)
    return torch.cat([moved, torch.ones_like(moved[..., :1])], dim=-1)
