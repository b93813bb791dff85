"""Images of boxes and disks whose coverage and color are known."""

from __future__ import annotations

import torch

WHITE = (1.0, 1.0, 1.0)
RED = (1.0, 0.0, 0.0)
GREEN = (0.0, 1.0, 0.0)


def disk(size: int, center: tuple[float, float], radius: float) -> torch.Tensor:
    """Return the share of each pixel that a disk covers, [size, size], from 8 x 8 samples a pixel."""
    positions = (torch.arange(8 * size) + 0.5) / 8
    inside = (positions[None] - center[0]) ** 2 + (positions[:, None] - center[1]) ** 2 <= radius**2
    return inside.float().reshape(size, 8, size, 8).mean(dim=(1, 3))


def paint(
    coverage: torch.Tensor, color: tuple[float, ...], background: tuple[float, ...] = WHITE
) -> torch.Tensor:
    """Return images [..., 3] of one color over another where coverage [...] is 1, mixed where it is less."""
    share = coverage[..., None]
    return share * torch.tensor(color) + (1 - share) * torch.tensor(background)


def box_frames(
    height: int, width: int, *boxes: tuple[int, int, int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a frame for each box (left, top, width, height), red on green: images and alphas."""
    alphas = torch.zeros(len(boxes), height, width)
    for alpha, (left, top, across, down) in zip(alphas, boxes, strict=True):
        alpha[top : top + down, left : left + across] = 1
    return paint(alphas, RED, GREEN), alphas


def with_frame_set_to(frames: torch.Tensor, index: int, value: float) -> torch.Tensor:
    """Return a copy of frames with one of them constant."""
    copy = frames.clone()
    copy[index] = value
    return copy
