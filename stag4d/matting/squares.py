"""The squares to which frames are cropped: the same one for all frames, or one that follows the object."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .inspection import bounding_box

_BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)  # smoothing over five kept frames


@dataclass(frozen=True, eq=False)
class Squares:
    """Squares of one size in T frames, in the pixels of the video.

    Attributes:
        corners: Left and top of each square.
        side: Width and height.
        crop_offsets: [T, 2] to the right and down, from the middle of the path of the squares' centers, in
            units of the side; None if the squares do not move.
    """

    corners: list[tuple[float, float]]
    side: float
    crop_offsets: Tensor | None = None


def fixed_squares(masks: Tensor, margin: float) -> Squares:
    """Return the one square around the object's whole motion, for all frames.

    Args:
        masks: Bool [T, H, W], each with an object.
        margin: Free space on each side of the longer extent, as a share of the side.
    """
    left, top, right, bottom = bounding_box(masks.any(dim=0))
    side = max(bottom - top, right - left) / (1 - 2 * margin)
    return Squares([((left + right - side) / 2, (top + bottom - side) / 2)] * len(masks), side)


def following_squares(masks: Tensor, margin: float) -> Squares:
    """Return squares of the object's largest extent in any frame, which follow the object.

    Their centers are on the smoothed path of the center of the object's bounding box; where smoothing would
    bring the object nearer to a side than the margin, they are moved back by the difference.

    Args:
        masks: Bool [T, H, W], each with an object.
        margin: Free space on each side of the largest extent, as a share of the side.
    """
    boxes = torch.tensor([bounding_box(mask) for mask in masks], dtype=torch.float64)  # [T, 4]
    low, high = boxes[:, :2], boxes[:, 2:]  # [T, 2]: left and top, right and bottom
    extent = (high - low).max().item()
    side = extent / (1 - 2 * margin)
    centers = _smoothed((low + high) / 2)  # [T, 2]
    centers = torch.maximum(torch.minimum(centers, low + extent / 2), high - extent / 2)
    middle = (centers.amin(dim=0) + centers.amax(dim=0)) / 2
    corners = [(left, top) for left, top in (centers - side / 2).tolist()]
    return Squares(corners, side, ((centers - middle) / side).float())


def _smoothed(path: Tensor) -> Tensor:
    """Return points [T, 2] after a binomial filter over time, which keeps both ends and linear motion."""
    if len(path) < 3:
        return path
    before = 2 * path[:1] - path[1:3].flip(0)  # point reflection at the first point
    after = 2 * path[-1:] - path[-3:-1].flip(0)
    windows = torch.cat([before, path, after]).unfold(0, len(_BINOMIAL), 1)  # [T, 2, 5]
    return windows @ path.new_tensor(_BINOMIAL)
