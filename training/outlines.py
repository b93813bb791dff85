"""The image encoder of the posed prior, taught alone first: how a toy looks, coarsely, from another camera.

    python -m training.outlines --toys DIR --vision RUN --out RUN

It begins as ``training.vision`` left it, which knows toys in front of gray, seen by the input's camera. Here
they stand in front of white and any of the rig's cameras sees them; from the embedding and the camera numbers
a small network has to tell coarse latents and matte of what each of a toy's cameras sees. The result is
``RUN/outlines.safetensors``, the weights of both; ``training.prior`` takes the encoder from it.
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
from stag4d.diffusion.zero123 import POSE_NUMBERS
from stag4d.diffusion.zero123plus import GRAY
from stag4d.geometry import OrbitPose

from .autoencoder import CHANNELS, basis_of, latents_of
from .loop import autocast, plan_of, plan_parser, train, weights_key
from .parallel import share_of
from .toys import RIG, Toys, on_background, read_toys, recolored
from .vision import MATTE_STRENGTH, WIDTH, Outliner, outline_error, read_encoder

BATCH = 32
HIDDEN = 512
COARSE = (4, 4)  # of the target's latents, 8 x 8
COARSE_MATTE = (16, 16)


class Examples(NamedTuple):
    """Some toys, each shown by one of the rig's cameras, and what all K of its cameras see.

    Attributes:
        conditions: [B, 3, S, S] pictures on white, -1..1.
        cameras: [B, K, 4] what ``pose_numbers`` gives.
        latents: [B, K, C, h, w] of the targets on gray, with a mean square of 1.
        mattes: [B, K, S, S] of the targets, over ``MATTE_STRENGTH``.
    """

    conditions: Tensor
    cameras: Tensor
    latents: Tensor
    mattes: Tensor


class PosedOutliner(nn.Module):
    """The image encoder, and the network that tells a target's coarse latents and matte.

    Args:
        encoder: Embeds conditions.
    """

    def __init__(self, encoder: CLIPVisionModelWithProjection) -> None:
        super().__init__()
        self.encoder = encoder
        self.layers = nn.Sequential(
            nn.Linear(WIDTH + POSE_NUMBERS, HIDDEN),
            nn.SiLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.SiLU(),
            nn.Linear(HIDDEN, CHANNELS * math.prod(COARSE) + math.prod(COARSE_MATTE)),
        )

    def loss(self, examples: Examples) -> Tensor:
        """Return the mean squared error of what is told of a batch."""
        with autocast(examples.conditions.device):
            embeddings = self.encoder(examples.conditions).image_embeds.float()
            embeddings = embeddings[:, None].expand(-1, examples.cameras.shape[1], -1)
            told = self.layers(torch.cat([embeddings, examples.cameras], dim=-1)).float().flatten(0, 1)
        targets = examples.latents.flatten(0, 1), examples.mattes.flatten(0, 1)[:, None]
        return outline_error(told, *targets, COARSE, COARSE_MATTE)


def draw_examples(
    toys: Toys, basis: Tensor, count: int, generator: torch.Generator, device: torch.device
) -> Examples:
    """Draw some toys and the cameras that show them, and recolor the toys."""
    rows = torch.randint(len(toys), (count,), generator=generator)
    given = torch.randint(len(RIG), (count,), generator=generator)
    cameras = [
        [pose_numbers(RIG[condition], target) for target in poses_of(toys, row)]
        for row, condition in zip(rows.tolist(), given.tolist(), strict=True)
    ]
    pictures = recolored(toys.pictures[rows], generator).to(device)  # [B, K, S, S, 4]
    return Examples(
        conditions=on_background(pictures[torch.arange(count), given.to(device)], 1.0),
        cameras=torch.tensor(cameras, device=device),
        latents=latents_of(basis, on_background(pictures, GRAY / 255)),
        mattes=pictures[..., 3].float() / (255 * MATTE_STRENGTH),
    )


def poses_of(toys: Toys, row: int) -> list[OrbitPose]:
    """Return a toy's cameras: the rig's, then the free ones."""
    free = toys.free_poses_deg[row].tolist()
    return [*RIG, *(OrbitPose(azimuth_deg=azimuth, elevation_deg=up) for azimuth, up in free)]


def read_posed_encoder(folder: Path) -> CLIPVisionModelWithProjection:
    """Return the image encoder of a run."""
    outliner = PosedOutliner(Outliner().encoder)
    outliner.load_state_dict(load_file(folder / "outlines.safetensors"))
    return outliner.encoder


def main() -> None:
    """Train."""
    parser = plan_parser(__doc__, num_steps=3_000, learning_rate=3e-4)
    parser.add_argument("--vision", type=Path, required=True, help="folder of a run of training.vision")
    arguments = parser.parse_args()
    plan = plan_of(arguments, ema_decay=0.99)
    toys = read_toys(arguments.toys, arguments.shards, arguments.first)
    basis = basis_of(toys).to(plan.device)

    def losses_of(module: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        assert isinstance(module, PosedOutliner)
        return {"outline": module.loss(draw_examples(toys, basis, share_of(BATCH), generator, plan.device))}

    def keep(module: nn.Module, path: Path) -> None:
        save_file(module.state_dict(), path.parent / "outlines.safetensors")

    encoder = read_encoder(arguments.vision)
    plan = replace(plan, made_of={"--vision": weights_key(encoder)})
    train(PosedOutliner(encoder).to(plan.device), losses_of, plan, keep)


if __name__ == "__main__":
    main()
