"""What a UNet has to tell on the side while it learns, by layers that are not kept.

Places are known by the padding of convolutions only, and outlines matter little to latents on gray, next to
the patterns within: without these tasks the UNet is slow to find out about both.
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

PLACE_WEIGHT = 0.1  # of the loss that has every token know where it is
_MATTE_CELLS = 4  # along each side of a latent's square of 8 x 8 pixels


class Places(nn.Module):
    """Linear layers that have to tell from a token, at each self-attention, where in the grid it is."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self._blocks = [block for block in unet.modules() if isinstance(block, BasicTransformerBlock)]
        self.readers = nn.ModuleList(nn.Linear(block.dim, 7) for block in self._blocks)

    @contextmanager
    def watching(self) -> Iterator[list[Tensor]]:
        """Collect the mean squared error of every block's tokens, of the reference and then of the views."""
        errors: list[Tensor] = []

        def hook(reader: nn.Module, tokens: Tensor) -> None:
            errors.append(
                (reader(tokens).float() - places_of(tokens.shape[1], tokens.device)).square().mean()
            )

        with ExitStack() as stack:
            for block, reader in zip(self._blocks, self.readers, strict=True):
                handle = block.register_forward_pre_hook(
                    lambda _, given, reader=reader: hook(reader, given[0])
                )
                stack.callback(handle.remove)
            yield errors


def places_of(num_tokens: int, device: torch.device) -> Tensor:
    """Return what tells tokens' places, [L, 7]: row and column of the tile, and row and column in the tile.

    The reference, which is one tile by itself, has zeros for the first five.
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


class Mattes(nn.Module):
    """A layer that has to tell the views' mattes from the features that the UNet's last layer gets."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self._last = [unet.conv_out]  # in a list: not a part of this module
        self.reader = nn.Conv2d(unet.conv_out.in_channels, _MATTE_CELLS**2, 3, padding=1)

    @contextmanager
    def watching(self) -> Iterator[list[Tensor]]:
        """Collect the features of every call."""
        features: list[Tensor] = []
        handle = self._last[0].register_forward_pre_hook(lambda _, given: features.append(given[0]))
        try:
            yield features
        finally:
            handle.remove()

    def error(self, features: Tensor, mattes: Tensor) -> Tensor:
        """Return the mean squared error of what features [B, C, h, w] tell of mattes [B, 1, 8h, 8w]."""
        side = mattes.shape[-1] // features.shape[-1] // _MATTE_CELLS
        cells = pixel_unshuffle(avg_pool2d(mattes, side), _MATTE_CELLS)  # [B, 16, h, w]
        return mse_loss(self.reader(features.float()), cells)
