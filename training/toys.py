"""Pictures to train from: shards of toys of the training split, each at one time, seen by ten cameras.

    python -m training.toys --out DIR --shards 26 [--first 0]

A shard is drawn by its number alone, so shards may be drawn by several processes, in any order.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stag4d.geometry import OrbitPose, zero123plus_rig
from stag4d.toys import INPUT_POSE, raycast, toy_object, toy_seed
from stag4d.toys.objects import Split
from stag4d.types import Cameras

SIZE = 64  # pixels along each side
TOYS_PER_SHARD = 512
RIG = (INPUT_POSE, *zero123plus_rig("v1.1"))  # the input and the six views
NUM_FREE = 3  # further cameras, anywhere that score distillation may look from
OTHER_DRAWS = 1 << 31  # a toy's own seed would tie times and cameras to its body plan
FREE_ELEVATION_DEG = 32.0  # either way: a little more than is asked for


@dataclass(frozen=True, eq=False)
class Toys:
    """N toys.

    Attributes:
        pictures: [N, 10, 64, 64, 4] uint8, straight colors and alpha: the rig's cameras, then the free ones.
        free_poses_deg: [N, 3, 2] azimuth and elevation of the free ones.
    """

    pictures: Tensor
    free_poses_deg: Tensor

    def __len__(self) -> int:
        """Return N."""
        return len(self.pictures)

    def first(self, count: int) -> Toys:
        """Return the first of them."""
        return Toys(self.pictures[:count], self.free_poses_deg[:count])


def draw_toys(split: Split, first: int, count: int) -> Toys:
    """Return some toys of a split, each at a time and with free cameras of its own."""
    pictures = torch.empty(count, len(RIG) + NUM_FREE, SIZE, SIZE, 4, dtype=torch.uint8)
    free_poses_deg = torch.empty(count, NUM_FREE, 2)
    for row in range(count):
        seed = toy_seed(split, first + row)
        generator = torch.Generator().manual_seed(seed + OTHER_DRAWS)
        time = torch.rand((), generator=generator).item()
        spread = torch.rand(NUM_FREE, 2, generator=generator) * 2 - 1
        free_poses_deg[row] = spread * torch.tensor([180.0, FREE_ELEVATION_DEG])
        free = [
            OrbitPose(azimuth_deg=azimuth, elevation_deg=up) for azimuth, up in free_poses_deg[row].tolist()
        ]
        images, alphas, _ = raycast(toy_object(seed), time, Cameras.from_poses([*RIG, *free], SIZE, SIZE))
        pictures[row] = (torch.cat([images, alphas[..., None]], dim=-1) * 255).round().to(torch.uint8)
    return Toys(pictures, free_poses_deg)


def write_shard(folder: Path, number: int) -> Path:
    """Draw a shard into a folder unless it is there, and return its file."""
    path = folder / f"toys_{number:03d}.npz"
    if not path.exists():
        toys = draw_toys("train", number * TOYS_PER_SHARD, TOYS_PER_SHARD)
        partial = path.with_suffix(".part.npz")
        np.savez(partial, pictures=toys.pictures.numpy(), free_poses_deg=toys.free_poses_deg.numpy())
        partial.replace(path)
    return path


def read_toys(folder: Path, num_shards: int, first: int = 0) -> Toys:
    """Return some shards of a folder; raises FileNotFoundError with the command that makes them."""
    count = num_shards * TOYS_PER_SHARD
    pictures = torch.empty(count, len(RIG) + NUM_FREE, SIZE, SIZE, 4, dtype=torch.uint8)
    free_poses_deg = torch.empty(count, NUM_FREE, 2)
    for shard in range(num_shards):
        number = first + shard
        path = folder / f"toys_{number:03d}.npz"
        if not path.exists():
            raise FileNotFoundError(
                f"{path}: no such shard; python -m training.toys --out {folder} --first {number} draws it."
            )
        rows = slice(shard * TOYS_PER_SHARD, (shard + 1) * TOYS_PER_SHARD)
        with np.load(path) as arrays:  # straight into place: they are gigabytes
            pictures[rows] = torch.from_numpy(arrays["pictures"])
            free_poses_deg[rows] = torch.from_numpy(arrays["free_poses_deg"])
    return Toys(pictures, free_poses_deg)


def on_background(pictures: Tensor, level: float | Tensor) -> Tensor:
    """Return pictures [..., H, W, 4] uint8 in front of a gray level 0..1: [..., 3, H, W] in -1..1."""
    values = pictures.float() / 255
    alphas = values[..., 3:]
    mixed = values[..., :3] * alphas + level * (1 - alphas)
    return (mixed * 2 - 1).movedim(-1, -3).contiguous()  # in another order of memory, convolutions are slow


def recolored(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Return toys [B, ..., 4] with red, green and blue exchanged by chance; as likely toys as before."""
    orders = torch.rand(len(pictures), 3, generator=generator).argsort(dim=1)
    orders = torch.cat([orders, torch.full((len(pictures), 1), 3)], dim=1)  # [B, 4], alpha stays
    places = orders.reshape(len(pictures), *[1] * (pictures.dim() - 2), 4).expand(pictures.shape)
    return pictures.gather(-1, places)


def main() -> None:
    """Draw shards."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the shards")
    parser.add_argument("--shards", type=int, default=26, help="how many, 512 toys each")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # a toy is too small to share; start several processes instead
    arguments.out.mkdir(parents=True, exist_ok=True)
    for number in range(arguments.first, arguments.first + arguments.shards):
        print(write_shard(arguments.out, number), flush=True)


if __name__ == "__main__":
    main()
