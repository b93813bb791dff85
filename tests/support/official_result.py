"""A small result of the official STAG4D code: ``deformation.pth``, ``model.ply`` and what lies beside."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import torch
from plyfile import PlyData, PlyElement
from torch import Tensor

CHANNELS, WIDTH = 3, 8
COLUMNS = (
    "x y z nx ny nz f_dc_0 f_dc_1 f_dc_2 opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3".split()
)
HEADS = {"pos_deform": 3, "scales_deform": 3, "rotations_deform": 4, "opacity_deform": 1}
NET = "deformation_net."


def official_weights() -> dict[str, Tensor]:
    """Return a small state dict with all entries of the official one, every number random but the box."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    weights = {f"{NET}grid.aabb": torch.tensor([[1.6, 1.6, 1.6], [-1.6, -1.6, -1.6]])}
    for level, size in enumerate((4, 8)):
        lengths = (size, size, size, 5)
        for index, (first, second) in enumerate(itertools.combinations(range(4), 2)):
            plane = random(1, CHANNELS, lengths[second], lengths[first])
            weights[f"{NET}grid.grids.{level}.{index}"] = 1 + 0.3 * plane
    weights[f"{NET}feature_out.0.weight"] = random(WIDTH, 2 * CHANNELS)
    weights[f"{NET}feature_out.0.bias"] = random(WIDTH)
    for name, num_out in HEADS.items():
        for layer, size in ((1, WIDTH), (3, num_out)):
            weights[f"{NET}{name}.{layer}.weight"] = 0.3 * random(size, WIDTH)
            weights[f"{NET}{name}.{layer}.bias"] = 0.3 * random(size)
    weights |= {"timenet.0.weight": random(64, 9), "timenet.0.bias": random(64)}
    return weights | {"time_poc": torch.tensor([1.0, 2, 4, 8]), "pos_poc": 2.0 ** torch.arange(10)}


def official_table(count: int) -> np.ndarray:
    """Return random Gaussians, some of them outside of the box, with the columns of the official PLY file."""
    values = np.random.default_rng(0).standard_normal((count, len(COLUMNS))).astype("f4")
    return np.rec.fromarrays(values.T, dtype=[(name, "<f4") for name in COLUMNS])


def write_official_result(folder: Path, count: int = 40) -> None:
    """Write the files of a result into a folder, with those beside them that are not read."""
    folder.mkdir(parents=True, exist_ok=True)
    PlyData([PlyElement.describe(official_table(count), "vertex")]).write(folder / "model.ply")
    torch.save(official_weights(), folder / "deformation.pth")
    torch.save(torch.ones(count, dtype=torch.bool), folder / "deformation_table.pth")
    torch.save(torch.zeros(count, 3), folder / "deformation_accum.pth")
