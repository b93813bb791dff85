"""Intrinsics of images that are cropped, padded or resized.

Pixel centers are at +0.5, so that resizing multiplies focals and principal points alike. The functions keep
the type of their tensors, and hold for both projections.
"""

from __future__ import annotations

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
