"""Intrinsics of images that are cropped, padded or resized, and cameras of crops that follow an object.

Pixel centers are at +0.5, so that resizing multiplies focals and principal points alike. The functions keep
the type of their tensors, and hold for both projections.
"""

from __future__ import annotations

import torch
from torch import Tensor

Size = tuple[int, int]  # width, height


def crop_intrinsics(Ks: Tensor, left: float, top: float) -> Tensor:
    """Return the intrinsics of a crop; a negative ``left`` or ``top`` pads.

    Args:
        Ks: [..., 3, 3].
        left: Columns that are removed at the left, pixels.
        top: Rows that are removed at the top, pixels.

    Returns:
        [..., 3, 3].
    """
    cropped = Ks.clone()
    cropped[..., 0, 2] -= left
    cropped[..., 1, 2] -= top
    return cropped


def resize_intrinsics(Ks: Tensor, size: Size, new_size: Size) -> Tensor:
    """Return the intrinsics of resized images.

    Args:
        Ks: [..., 3, 3].
        size: Width and height before, pixels; after a crop those of the crop.
        new_size: Width and height after, pixels.

    Returns:
        [..., 3, 3].
    """
    factors = Ks.new_tensor([new_size[0] / size[0], new_size[1] / size[1], 1.0])
    return Ks * factors[:, None]


def intrinsics_of_size(Ks: Tensor, declared: Size, actual: Size, subject: str) -> Tensor:
    """Return the intrinsics for images that may be a resized copy of those that they were declared for.

    Args:
        Ks: [..., 3, 3] for the declared size.
        declared: Width and height that the source states, pixels.
        actual: Width and height of the images, pixels.
        subject: The camera for error messages.

    Raises:
        ValueError: unless the same factor gives width and height, to the rounding of a pixel.
    """
    if declared == actual:
        return Ks
    bounds = [((new - 0.5) / old, (new + 0.5) / old) for old, new in zip(declared, actual, strict=True)]
    if max(low for low, _ in bounds) > min(high for _, high in bounds):
        raise ValueError(
            f"{subject}: images of {actual[0]}x{actual[1]} pixels for a camera of "
            f"{declared[0]}x{declared[1]}; expected the same size or the same aspect ratio."
        )
    return resize_intrinsics(Ks, declared, actual)


def box_intrinsics(K: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Return the intrinsics of one camera in crops of frames to boxes of their own, resized to one size.

    Args:
        K: [3, 3] of the common square image.
        boxes: [F, 3] center x, center y and side of each frame's square box, pixels.
        side: Side of the common square and of the resized crops, pixels.

    Returns:
        [F, 3, 3].
    """
    scales = side / boxes[:, 2]  # [F]
    Ks = K.repeat(len(boxes), 1, 1)  # [F, 3, 3]
    Ks[:, :2, :2] *= scales[:, None, None]
    Ks[:, :2, 2] = (K[:2, 2] - boxes[:, :2]) * scales[:, None] + side / 2
    return Ks


def generated_box_intrinsics(K: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Return the intrinsics of views that a model generated from such crops, centered on the object.

    Args:
        K: [3, 3] of a view of the common square.
        boxes: [F, 3] as in ``box_intrinsics``.
        side: Side of the common square and of the views, pixels.

    Returns:
        [F, 3, 3]; only the focals change, see ``box_shifts`` for the cameras.
    """
    Ks = K.repeat(len(boxes), 1, 1)
    Ks[:, :2, :2] *= (side / boxes[:, 2])[:, None, None]
    return Ks


def box_shifts(boxes: Tensor, K: Tensor, viewmat: Tensor, side: int) -> Tensor:
    """Return the translations of the object in the world that the boxes of a reference camera follow.

    Only those parallel to its image plane are known, not those in depth.

    Args:
        boxes: [F, 3] as in ``box_intrinsics``.
        K: [3, 3] of the reference camera in the common square.
        viewmat: [4, 4] world-to-camera of the reference camera, a pinhole that looks at the origin.
        side: Side of the common square, pixels.

    Returns:
        [F, 3], world units.
    """
    focals = torch.stack([K[0, 0], K[1, 1]])
    steps = (boxes[:, :2] - side / 2) / focals * viewmat[2, 3]  # [F, 2] to the right and down
    return steps.to(viewmat) @ viewmat[:2, :3]


def shift_viewmats(viewmats: Tensor, shifts: Tensor) -> Tensor:
    """Return cameras that move with the object.

    Args:
        viewmats: [..., 4, 4] world-to-camera.
        shifts: [..., 3] translation of the object, world units.

    Returns:
        [..., 4, 4] with t - R shift.
    """
    moved = viewmats.expand(*torch.broadcast_shapes(viewmats.shape[:-2], shifts.shape[:-1]), 4, 4).clone()
    moved[..., :3, 3] -= (viewmats[..., :3, :3] @ shifts.to(viewmats)[..., None])[..., 0]
    return moved
