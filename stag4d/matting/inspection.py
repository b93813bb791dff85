"""Warnings about frames in which the object is cut off or small."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .selection import list_frames

_CUT_SHARE = 0.05  # of the object's outline on the image border
_SMALL_SHARE = 0.2  # of the square's side that the object's longer extent takes


def cut_off_warning(masks: Tensor, frames: Sequence[int], names: Sequence[str] | None) -> str | None:
    """Return a warning if more than 5 % of the object's outline is on the image border in some frames.

    Args:
        masks: Bool [T, H, W], the object in T kept frames.
        frames: Their indices in the video.
        names: Names of all frames of the video; None numbers them from 0.

    Returns:
        One sentence with the frames and the largest share, or None.
    """
    shares = [_share_on_border(mask) for mask in masks]
    cut = [frame for frame, share in zip(frames, shares, strict=True) if share > _CUT_SHARE]
    if not cut:
        return None
    return (
        f"the image border cuts off the object in {list_frames(cut, names)}, up to {max(shares):.0%} of its "
        f"outline (threshold {_CUT_SHARE:.0%}); the fit treats the part outside the image as empty. Leave "
        "these frames out with start and end, or use a video that shows the whole object."
    )


def small_object_warning(
    masks: Tensor, side: float, frames: Sequence[int], names: Sequence[str] | None, *, follow: bool = False
) -> str | None:
    """Return a warning if the object fills less than a fifth of the square's side in some frames.

    Args:
        masks: Bool [T, H, W], the object in T kept frames.
        side: Side of the square in the pixels of the masks.
        frames: Their indices in the video.
        names: Names of all frames of the video; None numbers them from 0.
        follow: Whether the square follows the object.

    Returns:
        Sentences with the frames, the smallest share and what helps, or None.
    """
    shares = [max(bottom - top, right - left) / side for left, top, right, bottom in map(bounding_box, masks)]
    small = [frame for frame, share in zip(frames, shares, strict=True) if share < _SMALL_SHARE]
    if not small:
        return None
    cause = (
        "the square has the size that the object has in another frame. Choose frames in which its size is "
        "similar with start and end."
        if follow
        else "the square holds its whole motion. Set crop to follow (--crop follow), or choose fewer frames "
        "with start and end, so that it moves less."
    )
    return (
        f"the object fills {min(shares):.0%} of the square's side in {list_frames(small, names)} (threshold "
        f"{_SMALL_SHARE:.0%}), because {cause}"
    )


def bounding_box(mask: Tensor) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of a bool mask [H, W], pixels; right and bottom are exclusive."""
    rows, columns = (mask.any(dim=axis).nonzero()[:, 0].tolist() for axis in (1, 0))
    return (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if rows else (0, 0, 0, 0)


def _share_on_border(mask: Tensor) -> float:
    """Return the share of the outline pixels of a bool mask [H, W] that are on the image border."""
    padded = torch.nn.functional.pad(mask, (1, 1, 1, 1))
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    outline = mask & ~inner
    on_border = mask.clone()
    on_border[1:-1, 1:-1] = False
    return on_border.sum().item() / max(outline.sum().item(), 1)
