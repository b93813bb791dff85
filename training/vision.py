"""Pretrain the vision encoder of the multi-view model, on coarse latents and alphas of the six views.

    python -m training.vision --toys DIR --out RUN

Trained alone, the encoder sees several times as many toys in the same time as within the whole model. A
perceptron predicts coarse latents and alphas of the six views from its embedding of the input view. The
result is ``RUN/vision.safetensors``, the weights of both; ``training.multiview`` reads the encoder from it
and trains it further.
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
from .loop import autocast, config_from, train, training_parser
from .parallel import local_batch_size
from .toys import RIG, SIZE, Toys, on_background, read_toys, recolored

BATCH = 32
GRID = ViewGrid(poses=RIG[1:], tile_size=SIZE)
WIDTH = 128  # of the embedding
HIDDEN = 256  # of the perceptron
# config of a UNet in which the tokens also scale and shift the features of every residual block
CONDITION_EVERY_RESNET: dict[str, Any] = {
    "addition_embed_type": "text",
    "addition_embed_type_num_heads": 4,
    "resnet_time_scale_shift": "scale_shift",
}
COARSE = (12, 8)  # of the six views' latents, 24 x 16
COARSE_ALPHAS = (48, 32)  # of their alphas, 192 x 128
ALPHA_RMS = 0.42  # root mean square of alphas: the root of the fraction that toys cover
ALPHA_WEIGHT = 0.5  # on white, a wrong silhouette is a far larger error than on gray


class Examples(NamedTuple):
    """A batch of toys: inputs of the model and its targets.

    Attributes:
        inputs: [B, 3, S, S] input views on gray, -1..1.
        references: [B, C, h, w] their latents, with a mean square of 1.
        grids: [B, C, 3h, 2w] latents of the grids of six views, also with a mean square of 1.
        alphas: [B, 1, 3S, 2S] alphas of the grids, divided by ``ALPHA_RMS``.
    """

    inputs: Tensor
    references: Tensor
    grids: Tensor
    alphas: Tensor


class OutlineModel(nn.Module):
    """The vision encoder, and the perceptron that predicts coarse latents and alphas from its embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=144,
                intermediate_size=432,
                num_hidden_layers=5,
                num_attention_heads=4,
                image_size=SIZE,
                patch_size=8,
                projection_dim=WIDTH,
                hidden_act="gelu",
                attn_implementation="eager",  # the fused kernel's backward pass is slow on CPUs
            )
        )
        self.layers = nn.Sequential(
            nn.Linear(WIDTH, HIDDEN),
            nn.SiLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.SiLU(),
            nn.Linear(HIDDEN, CHANNELS * math.prod(COARSE) + math.prod(COARSE_ALPHAS)),
        )

    def loss(self, examples: Examples) -> Tensor:
        """Return the ``outline_loss`` of a batch."""
        with autocast(examples.inputs.device):
            predicted = self.layers(self.encoder(examples.inputs).image_embeds).float()
        return outline_loss(predicted, examples.grids, examples.alphas, COARSE, COARSE_ALPHAS)


def outline_loss(
    predicted: Tensor, latents: Tensor, alphas: Tensor, cells: tuple[int, int], alpha_cells: tuple[int, int]
) -> Tensor:
    """Return the weighted mean squared error of predicted coarse latents and alphas.

    Args:
        predicted: [B, K], the values of the coarse latents, then those of the coarse alphas.
        latents: [B, C, h, w].
        alphas: [B, 1, H, W].
        cells: Rows and columns of the coarse latents.
        alpha_cells: Rows and columns of the coarse alphas.
    """
    targets = [
        adaptive_avg_pool2d(latents, cells).flatten(1),
        adaptive_avg_pool2d(alphas, alpha_cells).flatten(1),
    ]
    parts = predicted.split([target.shape[1] for target in targets], dim=1)
    return mse_loss(parts[0], targets[0]) + ALPHA_WEIGHT * mse_loss(parts[1], targets[1])


def sample_examples(
    toys: Toys, basis: Tensor, count: int, generator: torch.Generator, device: torch.device
) -> Examples:
    """Return a batch of ``count`` random toys with permuted color channels."""
    rows = torch.randint(len(toys), (count,), generator=generator)
    chosen = recolored(toys.images[rows, : len(RIG)], generator).to(device)
    images = on_background(chosen, GRAY / 255)  # [B, 7, 3, S, S]
    latents = latents_of(basis, images)  # [B, 7, C, h, w]
    alphas = chosen[:, 1:, ..., 3].float()[:, :, None] / (255 * ALPHA_RMS)  # [B, 6, 1, S, S]
    return Examples(images[:, 0], latents[:, 0], grid_of_views(latents[:, 1:]), grid_of_views(alphas))


def grid_of_views(views: Tensor) -> Tensor:
    """Return six views [B, 6, C, h, w] as grids of three rows and two columns, [B, C, 3h, 2w]."""
    return GRID.image_of(views.movedim(2, -1)).movedim(-1, 1).contiguous()


def read_encoder(folder: Path) -> CLIPVisionModelWithProjection:
    """Return the vision encoder of a run of this script."""
    model = OutlineModel()
    model.load_state_dict(load_file(folder / "vision.safetensors"))
    return model.encoder


def main() -> None:
    """Train."""
    parser = training_parser(__doc__, num_steps=4_500, learning_rate=3e-4)
    arguments = parser.parse_args()
    config = config_from(arguments, ema_decay=0.99)
    toys = read_toys(arguments.toys, arguments.shards, arguments.first)
    basis = basis_of(toys).to(config.device)

    def losses_of(module: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        assert isinstance(module, OutlineModel)
        examples = sample_examples(toys, basis, local_batch_size(BATCH), generator, config.device)
        return {"outline": module.loss(examples)}

    def save(module: nn.Module, path: Path) -> None:
        save_file(module.state_dict(), path.parent / "vision.safetensors")

    train(OutlineModel().to(config.device), losses_of, config, save)


if __name__ == "__main__":
    main()
