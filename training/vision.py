"""The vision encoder of the multi-view model, taught alone first: how six views of a toy look, coarsely.

    python -m training.vision --toys DIR --out RUN

Alone, the encoder sees several times as many toys in the same time as within the whole model. A linear layer
has to tell the views' coarse latents and mattes from its embeddings. The result is
``RUN/vision.safetensors``, the weights of both; ``training.multiview`` takes the encoder from it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, mse_loss
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from stag4d.diffusion import ViewGrid
from stag4d.diffusion.zero123plus import GRAY

from .autoencoder import CHANNELS, basis_of, latents_of
from .loop import autocast, plan_of, plan_parser, train
from .parallel import share_of
from .toys import RIG, SIZE, Toys, on_background, read_toys, recolored

BATCH = 32
GRID = ViewGrid(poses=RIG[1:], tile_size=SIZE)
WIDTH = 128  # of the embedding
TOLD_EVERYWHERE: dict[str, Any] = {  # of a UNet: every block is scaled and shifted by what the tokens say
    "addition_embed_type": "text",
    "addition_embed_type_num_heads": 4,
    "resnet_time_scale_shift": "scale_shift",
}
COARSE = (12, 8)  # of the six views' latents, 24 x 16
COARSE_MATTE = (48, 32)  # of their mattes, 192 x 128
MATTE_STRENGTH = 0.42  # root mean square of a matte: the root of the share that toys cover
MATTE_WEIGHT = 0.5  # on white, what a wrong outline costs is far more than on gray


class Examples(NamedTuple):
    """Some toys, as the model sees them and as it has to draw them.

    Attributes:
        inputs: [B, 3, S, S] pictures on gray, -1..1.
        references: [B, C, h, w] their latents, with a mean square of 1.
        grids: [B, C, 3h, 2w] latents of their six views, the same.
        mattes: [B, 1, 3S, 2S] of the views, over ``MATTE_STRENGTH``.
    """

    inputs: Tensor
    references: Tensor
    grids: Tensor
    mattes: Tensor


class Outliner(nn.Module):
    """The vision encoder, and the layer that tells coarse latents and mattes from its embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=144, intermediate_size=432, num_hidden_layers=5, num_attention_heads=4,
                image_size=SIZE, patch_size=8, projection_dim=WIDTH, hidden_act="gelu",
                attn_implementation="eager",  # the fused kernel's backward pass is slow on CPUs
            )
        )  # fmt: skip
        self.layer = nn.Linear(WIDTH, CHANNELS * math.prod(COARSE) + math.prod(COARSE_MATTE))

    def loss(self, examples: Examples) -> Tensor:
        """Return the mean squared error of what the embeddings of a batch tell."""
        with autocast(examples.inputs.device):
            told = self.layer(self.encoder(examples.inputs).image_embeds).float()
        return outline_error(told, examples.grids, examples.mattes, COARSE, COARSE_MATTE)


def outline_error(
    told: Tensor, latents: Tensor, mattes: Tensor, cells: tuple[int, int], matte_cells: tuple[int, int]
) -> Tensor:
    """Return the weighted squared error of what is told of coarse latents and mattes.

    Args:
        told: [B, K], the coarse latents' values and then the mattes'.
        latents: [B, C, h, w].
        mattes: [B, 1, H, W].
        cells: Rows and columns of the coarse latents.
        matte_cells: Of the coarse mattes.
    """
    wanted = [
        adaptive_avg_pool2d(latents, cells).flatten(1), adaptive_avg_pool2d(mattes, matte_cells).flatten(1)
    ]  # fmt: skip
    parts = told.split([part.shape[1] for part in wanted], dim=1)
    return mse_loss(parts[0], wanted[0]) + MATTE_WEIGHT * mse_loss(parts[1], wanted[1])


def draw_examples(
    toys: Toys, basis: Tensor, count: int, generator: torch.Generator, device: torch.device
) -> Examples:
    """Draw some toys and recolor them."""
    rows = torch.randint(len(toys), (count,), generator=generator)
    chosen = recolored(toys.pictures[rows, : len(RIG)], generator).to(device)
    pictures = on_background(chosen, GRAY / 255)  # [B, 7, 3, S, S]
    latents = latents_of(basis, pictures)  # [B, 7, C, h, w]
    mattes = chosen[:, 1:, ..., 3].float()[:, :, None] / (255 * MATTE_STRENGTH)  # [B, 6, 1, S, S]
    return Examples(pictures[:, 0], latents[:, 0], grid_of_views(latents[:, 1:]), grid_of_views(mattes))


def grid_of_views(views: Tensor) -> Tensor:
    """Return six views [B, 6, C, h, w] as grids of three rows and two columns, [B, C, 3h, 2w]."""
    return GRID.image_of(views.movedim(2, -1)).movedim(-1, 1).contiguous()


def read_encoder(folder: Path) -> CLIPVisionModelWithProjection:
    """Return the vision encoder of a run."""
    outliner = Outliner()
    outliner.load_state_dict(load_file(folder / "vision.safetensors"))
    return outliner.encoder


def main() -> None:
    """Train."""
    parser = plan_parser(__doc__, num_steps=24_000, learning_rate=3e-4)
    arguments = parser.parse_args()
    plan = plan_of(arguments, ema_decay=0.99)
    toys = read_toys(arguments.toys, arguments.shards, arguments.first)
    basis = basis_of(toys).to(plan.device)

    def losses_of(module: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        assert isinstance(module, Outliner)
        examples = draw_examples(toys, basis, share_of(BATCH), generator, plan.device)
        return {"outline": module.loss(examples)}

    def keep(module: nn.Module, path: Path) -> None:
        save_file(module.state_dict(), path.parent / "vision.safetensors")

    train(Outliner().to(plan.device), losses_of, plan, keep)


if __name__ == "__main__":
    main()
