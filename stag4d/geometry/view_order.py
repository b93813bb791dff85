"""The order of a source's images: which image of a batch is which view of which frame."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

ViewOrder = Literal["frame by frame", "view by view"]

VIEW_ORDERS: tuple[ViewOrder, ...] = get_args(ViewOrder)
# CharacterShot generates 21 views in five passes, view 0 in each.
_CHARACTERSHOT_PASSES = tuple((0, *range(first, 21, 5)) for first in range(1, 6))


def view_indices(
    num_images: int,
    *,
    num_frames: int | None = None,
    num_views: int | None = None,
    order: ViewOrder = "frame by frame",
    subject: str = "views",
) -> Tensor:
    """Return which image shows which view of which frame.

    Args:
        num_images: N images.
        num_frames: F; None if N and V determine it.
        num_views: V of each frame; None if N and F determine it.
        order: All views of the first frame first, or all frames of the first view.
        subject: Name of the images for error messages.

    Returns:
        Indices into the images, int64 [F, V].

    Raises:
        ValueError: if the numbers do not match, or the order is unknown.
    """
    if order not in VIEW_ORDERS:
        raise ValueError(f"{subject}: unknown order {order!r}; expected one of {', '.join(VIEW_ORDERS)}.")
    counts = {"frames": num_frames, "views": num_views}
    known = [count for count in counts.values() if count is not None]
    if not known:
        raise ValueError(f"{subject}: {num_images} images; expected a number of frames or of views.")
    given = " and ".join(f"{count} {name}" for name, count in counts.items() if count is not None)
    per_item = known[0] * (known[1] if len(known) > 1 else 1)
    matches = num_images == per_item if len(known) > 1 else per_item > 0 and num_images % per_item == 0
    if not matches or num_images < 1:
        expected = f"{per_item}" if len(known) > 1 else f"a multiple of {per_item}"
        raise ValueError(f"{subject}: {num_images} images for {given}, {order}; expected {expected}.")
    frames = num_images // num_views if num_frames is None and num_views else num_frames or 1
    indices = torch.arange(num_images)
    if order == "view by view":
        return indices.reshape(num_images // frames, frames).T.contiguous()  # [F, V]
    return indices.reshape(frames, num_images // frames)  # [F, V]


def charactershot_indices(num_images: int) -> Tensor:
    """Return which image of CharacterShot's raw output shows which view of which frame.

    It is a batch of five passes of five views each, view by view; view 0 is in each pass, and the first is
    taken.

    Args:
        num_images: 25 F.

    Returns:
        Indices into the images, int64 [F, 21].

    Raises:
        ValueError: if the number is no multiple of 25.
    """
    slots = [view for views in _CHARACTERSHOT_PASSES for view in views]  # [25] view of each video
    if num_images < 1 or num_images % len(slots):
        raise ValueError(
            f"views: {num_images} images of CharacterShot; expected a multiple of {len(slots)}, five passes "
            "of five views."
        )
    videos = torch.tensor([slots.index(view) for view in range(21)])  # [V]
    frames = num_images // len(slots)
    return videos * frames + torch.arange(frames)[:, None]  # [F, V]
