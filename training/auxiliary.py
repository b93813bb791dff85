"""Auxiliary losses of a UNet: heads that predict token positions and alphas, and are not kept.

A UNet knows positions only from the zero padding of its convolutions, and silhouettes contribute little to
the error of latents on gray, compared with the patterns inside. With these losses it learns both sooner.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, mse_loss, one_hot, pixel_unshuffle

POSITION_WEIGHT = 0.1  # of the loss of token positions
_ALPHA_CELLS = 4  # along each side of the 8 x 8 pixels of a latent position


class PositionHeads(nn.Module):
    """Linear layers that predict a token's position in the grid from its features, one for each block."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self._blocks = [block for block in unet.modules() if isinstance(block, BasicTransformerBlock)]
        self.readers = nn.ModuleList(nn.Linear(block.dim, 7) for block in self._blocks)

    @contextmanager
    def recording(self) -> Iterator[list[Tensor]]:
        """Collect the mean squared error of every block, for the reference and then for the views."""
        errors: list[Tensor] = []

        def hook(reader: nn.Module, tokens: Tensor) -> None:
            positions = token_positions(tokens.shape[1], tokens.device)
            errors.append((reader(tokens).float() - positions).square().mean())

        with ExitStack() as stack:
            for block, reader in zip(self._blocks, self.readers, strict=True):
                handle = block.register_forward_pre_hook(
                    lambda _, given, reader=reader: hook(reader, given[0])
                )
                stack.callback(handle.remove)
            yield errors


def token_positions(num_tokens: int, device: torch.device) -> Tensor:
    """Return positions [L, 7] of tokens: one-hot row (3) and column (2) of the tile, row and column in it.

    The last two are in -1..1. The reference, which is a single tile, has zeros for the first five.
    """
    is_reference = math.isqrt(num_tokens) ** 2 == num_tokens
    side = math.isqrt(num_tokens if is_reference else num_tokens // 6)
    heights, widths = (1, 1) if is_reference else (3, 2)
    rows, columns = torch.meshgrid(
        torch.arange(heights * side, device=device), torch.arange(widths * side, device=device), indexing="ij"
    )
    inside = [(2 * (axis % side) + 1) / side - 1 for axis in (rows, columns)]
    tiles = [one_hot(rows // side, 3), one_hot(columns // side, 2)]
    tile = torch.cat(tiles, dim=-1) * (0 if is_reference else 1)
    return torch.cat([tile, torch.stack(inside, dim=-1)], dim=-1).flatten(0, 1)


class AlphaHead(nn.Module):
    """A convolution that predicts the views' alphas from the input features of the UNet's last layer."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self._last = [unet.conv_out]  # in a list, so that it is not a submodule
        self.reader = nn.Conv2d(unet.conv_out.in_channels, _ALPHA_CELLS**2, 3, padding=1)

    @contextmanager
    def recording(self) -> Iterator[list[Tensor]]:
        """Collect the features of every call of the UNet."""
        features: list[Tensor] = []
        handle = self._last[0].register_forward_pre_hook(lambda _, given: features.append(given[0]))
        try:
            yield features
        finally:
            handle.remove()

    def error(self, features: Tensor, alphas: Tensor) -> Tensor:
        """Return the mean squared error of alphas [B, 1, 8h, 8w] predicted from features [B, C, h, w]."""
        side = alphas.shape[-1] // features.shape[-1] // _ALPHA_CELLS
        cells = pixel_unshuffle(avg_pool2d(alphas, side), _ALPHA_CELLS)  # [B, 16, h, w]
        return mse_loss(self.reader(features.float()), cells)
