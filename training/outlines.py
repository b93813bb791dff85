"""Pretrain the image encoder of the guidance model, on coarse latents and alphas from other cameras.

    python -m training.outlines --toys DIR --vision RUN --out RUN

The encoder is initialized from ``training.vision``, where it was trained on input views on gray. Here the
images are on white, from any camera of the rig. A small network predicts coarse latents and alphas for each
camera of a toy from the image embedding and the relative camera pose. The result is
``RUN/outlines.safetensors``, the weights of both; ``training.guidance`` reads the encoder from it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPVisionModelWithProjection

from stag4d.diffusion import pose_numbers
from stag4d.diffusion.pose_conditioning import POSE_NUMBERS
from stag4d.diffusion.zero123plus import GRAY
from stag4d.geometry import OrbitPose

from .autoencoder import CHANNELS, basis_of, latents_of
from .loop import autocast, config_from, train, training_parser, weights_key
from .parallel import local_batch_size
from .toys import RIG, Toys, on_background, read_toys, recolored
from .vision import ALPHA_RMS, WIDTH, OutlineModel, outline_loss, read_encoder

BATCH = 32
HIDDEN = 512
COARSE = (4, 4)  # of a target's latents, 8 x 8
COARSE_ALPHAS = (16, 16)


class Examples(NamedTuple):
    """A batch of toys: a condition image from one of the rig's cameras, and targets from all K cameras.

    Attributes:
        conditions: [B, 3, S, S] condition images on white, -1..1.
        cameras: [B, K, 4] ``pose_numbers`` from the condition's camera to each target's.
        latents: [B, K, C, h, w] latents of the targets on gray, with a mean square of 1.
        alphas: [B, K, S, S] alphas of the targets, divided by ``ALPHA_RMS``.
    """

    conditions: Tensor
    cameras: Tensor
    latents: Tensor
    alphas: Tensor


class PosedOutlineModel(nn.Module):
    """The image encoder, and the network that predicts a target's coarse latents and alphas.

    Args:
        encoder: Image encoder of the condition images.
    """

    def __init__(self, encoder: CLIPVisionModelWithProjection) -> None:
        super().__init__()
        self.encoder = encoder
        self.layers = nn.Sequential(
            nn.Linear(WIDTH + POSE_NUMBERS, HIDDEN),
            nn.SiLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.SiLU(),
            nn.Linear(HIDDEN, CHANNELS * math.prod(COARSE) + math.prod(COARSE_ALPHAS)),
        )

    def loss(self, examples: Examples) -> Tensor:
        """Return the ``outline_loss`` of a batch."""
        with autocast(examples.conditions.device):
            embeddings = self.encoder(examples.conditions).image_embeds.float()
            embeddings = embeddings[:, None].expand(-1, examples.cameras.shape[1], -1)
            predicted = self.layers(torch.cat([embeddings, examples.cameras], dim=-1)).float().flatten(0, 1)
        targets = examples.latents.flatten(0, 1), examples.alphas.flatten(0, 1)[:, None]
        return outline_loss(predicted, *targets, COARSE, COARSE_ALPHAS)


def sample_examples(
    toys: Toys, basis: Tensor, count: int, generator: torch.Generator, device: torch.device
) -> Examples:
    """Return a batch of ``count`` random toys with random condition cameras and permuted color channels."""
    rows = torch.randint(len(toys), (count,), generator=generator)
    given = torch.randint(len(RIG), (count,), generator=generator)
    cameras = [
        [pose_numbers(RIG[condition], target) for target in poses_of(toys, row)]
        for row, condition in zip(rows.tolist(), given.tolist(), strict=True)
    ]
    images = recolored(toys.images[rows], generator).to(device)  # [B, K, S, S, 4]
    return Examples(
        conditions=on_background(images[torch.arange(count), given.to(device)], 1.0),
        cameras=torch.tensor(cameras, device=device),
        latents=latents_of(basis, on_background(images, GRAY / 255)),
        alphas=images[..., 3].float() / (255 * ALPHA_RMS),
    )


def poses_of(toys: Toys, row: int) -> list[OrbitPose]:
    """Return the poses of a toy's K cameras: the rig's, then the random ones."""
    free = toys.free_poses_deg[row].tolist()
    return [*RIG, *(OrbitPose(azimuth_deg=azimuth, elevation_deg=up) for azimuth, up in free)]


def read_posed_encoder(folder: Path) -> CLIPVisionModelWithProjection:
    """Return the image encoder of a run of this script."""
    model = PosedOutlineModel(OutlineModel().encoder)
    model.load_state_dict(load_file(folder / "outlines.safetensors"))
    return model.encoder


def main() -> None:
    """Train."""
    parser = training_parser(__doc__, num_steps=3_000, learning_rate=3e-4)
    parser.add_argument("--vision", type=Path, required=True, help="folder of a run of training.vision")
    arguments = parser.parse_args()
    config = config_from(arguments, ema_decay=0.99)
    toys = read_toys(arguments.toys, arguments.shards, arguments.first)
    basis = basis_of(toys).to(config.device)

    def losses_of(module: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        assert isinstance(module, PosedOutlineModel)
        examples = sample_examples(toys, basis, local_batch_size(BATCH), generator, config.device)
        return {"outline": module.loss(examples)}

    def save(module: nn.Module, path: Path) -> None:
        save_file(module.state_dict(), path.parent / "outlines.safetensors")

    encoder = read_encoder(arguments.vision)
    config = replace(config, network_keys={"--vision": weights_key(encoder)})
    train(PosedOutlineModel(encoder).to(config.device), losses_of, config, save)


if __name__ == "__main__":
    main()
