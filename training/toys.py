"""Training images: shards of characters of the training split, each at one time, rendered from ten cameras.

    python -m training.toys --out DIR --shards 26 [--first 0]

A shard depends on its number only, so several processes may render shards in any order. The command prints
the file of each shard; existing ones are kept.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stag4d.geometry import OrbitPose, zero123plus_rig
from stag4d.toys import ANY_CHARACTER, INPUT_POSE, raycast, toy_object, toy_seed
from stag4d.toys.objects import Split
from stag4d.types import Cameras

SIZE = 64  # pixels along each side
TOYS_PER_SHARD = 512
RIG = (INPUT_POSE, *zero123plus_rig("v1.1"))  # the input camera and the six views
NUM_FREE = 3  # cameras at random poses, as score distillation renders from
SEED_OFFSET = 1 << 31  # with a toy's own seed, time and cameras would depend on its body plan
FREE_ELEVATION_DEG = 32.0  # largest absolute elevation, a little more than score distillation samples


@dataclass(frozen=True, eq=False)
class Toys:
    """Images of N toys.

    Attributes:
        images: [N, 10, 64, 64, 4] uint8, straight colors and alpha: the rig's cameras, then the random ones.
        free_poses_deg: [N, 3, 2] azimuth and elevation of the random cameras.
    """

    images: Tensor
    free_poses_deg: Tensor

    def __len__(self) -> int:
        """Return N."""
        return len(self.images)

    def first(self, count: int) -> Toys:
        """Return the first ``count`` toys."""
        return Toys(self.images[:count], self.free_poses_deg[:count])


def generate_toys(split: Split, first: int, count: int) -> Toys:
    """Return ``count`` toys of a split from index ``first`` on, with random times and random cameras."""
    images = torch.empty(count, len(RIG) + NUM_FREE, SIZE, SIZE, 4, dtype=torch.uint8)
    free_poses_deg = torch.empty(count, NUM_FREE, 2)
    for row in range(count):
        seed = toy_seed(split, first + row)
        generator = torch.Generator().manual_seed(seed + SEED_OFFSET)
        time = torch.rand((), generator=generator).item()
        spread = torch.rand(NUM_FREE, 2, generator=generator) * 2 - 1
        free_poses_deg[row] = spread * torch.tensor([180.0, FREE_ELEVATION_DEG])
        free = [
            OrbitPose(azimuth_deg=azimuth, elevation_deg=up) for azimuth, up in free_poses_deg[row].tolist()
        ]
        cameras = Cameras.from_poses([*RIG, *free], SIZE, SIZE)
        colors, alphas, _ = raycast(toy_object(seed, ANY_CHARACTER), time, cameras)
        images[row] = (torch.cat([colors, alphas[..., None]], dim=-1) * 255).round().to(torch.uint8)
    return Toys(images, free_poses_deg)


def write_shard(folder: Path, number: int) -> Path:
    """Render a shard into a folder unless it exists, and return its file."""
    path = folder / f"toys_{number:03d}.npz"
    if not path.exists():
        toys = generate_toys("train", number * TOYS_PER_SHARD, TOYS_PER_SHARD)
        partial = path.with_suffix(".part.npz")
        np.savez(partial, pictures=toys.images.numpy(), free_poses_deg=toys.free_poses_deg.numpy())
        partial.replace(path)
    return path


def read_toys(folder: Path, num_shards: int, first: int = 0) -> Toys:
    """Return the toys of consecutive shards of a folder.

    Args:
        folder: Output folder of this script.
        num_shards: Number of shards.
        first: Number of the first shard.

    Raises:
        FileNotFoundError: if a shard is missing; the message has the command that renders it.
    """
    count = num_shards * TOYS_PER_SHARD
    images = torch.empty(count, len(RIG) + NUM_FREE, SIZE, SIZE, 4, dtype=torch.uint8)
    free_poses_deg = torch.empty(count, NUM_FREE, 2)
    for shard in range(num_shards):
        number = first + shard
        path = folder / f"toys_{number:03d}.npz"
        if not path.exists():
            raise FileNotFoundError(
                f"{path}: no such shard; python -m training.toys --out {folder} --first {number} renders it."
            )
        rows = slice(shard * TOYS_PER_SHARD, (shard + 1) * TOYS_PER_SHARD)
        with np.load(path) as arrays:  # into the final tensor: all shards are gigabytes
            images[rows] = torch.from_numpy(arrays["pictures"])
            free_poses_deg[rows] = torch.from_numpy(arrays["free_poses_deg"])
    return Toys(images, free_poses_deg)


def on_background(images: Tensor, level: float | Tensor) -> Tensor:
    """Return RGBA images [..., H, W, 4] uint8 composited on a gray level 0..1: [..., 3, H, W] in -1..1."""
    values = images.float() / 255
    alphas = values[..., 3:]
    mixed = values[..., :3] * alphas + level * (1 - alphas)
    return (mixed * 2 - 1).movedim(-1, -3).contiguous()  # convolutions are slow on strided memory


def recolored(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return RGBA images [B, ..., 4] with a random permutation of the color channels for each of B toys."""
    orders = torch.rand(len(images), 3, generator=generator).argsort(dim=1)
    orders = torch.cat([orders, torch.full((len(images), 1), 3)], dim=1)  # [B, 4], alpha stays
    channels = orders.reshape(len(images), *[1] * (images.dim() - 2), 4).expand(images.shape)
    return images.gather(-1, channels)


def main() -> None:
    """Render shards and print their files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the shards")
    parser.add_argument(
        "--shards", type=int, default=26, help="number of shards, of 512 toys each (default: %(default)s)"
    )
    parser.add_argument(
        "--first", type=int, default=0, help="number of the first shard (default: %(default)s)"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # a toy is too small to divide; start several processes instead
    arguments.out.mkdir(parents=True, exist_ok=True)
    for number in range(arguments.first, arguments.first + arguments.shards):
        print(write_shard(arguments.out, number), flush=True)


if __name__ == "__main__":
    main()
