"""Files of LPIPS with random weights, in the layouts in which weights are published."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

ALEXNET = {  # shapes of the convolutions by torchvision's indices
    0: (64, 3, 11, 11),
    3: (192, 64, 5, 5),
    6: (384, 192, 3, 3),
    8: (256, 384, 3, 3),
    10: (256, 256, 3, 3),
}
ALEXNET_WIDTHS = (64, 192, 384, 256, 256)  # channels of the features that LPIPS compares


def random_weights(shapes: dict[int, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    """Return weights and biases of convolutions by torchvision's names, scaled to keep features alive."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for index, shape in shapes.items():
        scale = (2 / (shape[1] * shape[2] * shape[3])) ** 0.5
        weights[f"features.{index}.weight"] = torch.randn(shape, generator=generator) * scale
        weights[f"features.{index}.bias"] = torch.randn(shape[0], generator=generator) * 0.1
    return weights


def random_heads(widths: tuple[int, ...]) -> dict[str, Tensor]:
    """Return heads by the names of the package lpips."""
    generator = torch.Generator().manual_seed(9)
    return {
        f"lin{stage}.model.1.weight": torch.rand(1, width, 1, 1, generator=generator)
        for stage, width in enumerate(widths)
    }


def alexnet_files(folder: Path, seed: int = 0) -> list[Path]:
    """Write torchvision's file of AlexNet and the heads of the package lpips; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    classifier = {"classifier.1.weight": torch.zeros(2, 3)}
    torch.save({**random_weights(ALEXNET, seed), **classifier}, folder / "alexnet.pth")
    torch.save(random_heads(ALEXNET_WIDTHS), folder / "alex.pth")
    return [folder / "alexnet.pth", folder / "alex.pth"]
