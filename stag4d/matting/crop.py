"""Choose frames of a video and crop all of them to one square around the object's motion.

Colors are straight, 0..1; a pixel belongs to the object where its alpha is above 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..progress import Monitor, silent
from .alpha import alphas_of_frames, as_float, check_shapes

_MIN_ALPHA = 1e-4  # 1/40 of an 8-bit level: the color of such a pixel is lost in rounding


def prepare_frames(
    images: Tensor,
    alphas: Tensor | None = None,
    *,
    num_frames: int = 0,
    size: int,
    margin: float,
    names: Sequence[str] | None = None,
    monitor: Monitor = silent,
) -> tuple[Tensor, Tensor]:
    """Choose evenly spaced frames and crop them to one square around the object's whole motion.

    The square is centered on the bounding box of the object in all chosen frames, so that the object moves in
    the result as it does in the video. Where the square reaches beyond the image, alpha is 0. Colors are
    resampled premultiplied by alpha: reducing takes the mean over the area of each pixel, enlarging
    interpolates linearly between pixel centers.

    Args:
        images: [F, H, W, 3], or [F, H, W, 4] with alpha; floats 0..1, or uint8.
        alphas: [F, H, W], floats 0..1 or uint8; None takes or computes them as ``object_alphas`` does.
        num_frames: Number T of frames to keep, first and last included (1 keeps the first); 0, or more than
            there are, keeps all.
        size: Width and height S of the result, pixels.
        margin: Free space on each side of the longer extent of the bounding box, as a share of S.
        names: F names of the frames for error messages; None numbers them from 0.
        monitor: Called after each frame's alpha and after each frame's crop, 2 T units of the stage ``crop``.

    Returns:
        Straight colors [T, S, S, 3], white where alpha is 0, and alphas [T, S, S]; float32.

    Raises:
        ValueError: if a number is out of range, or for images and alphas that ``object_alphas`` rejects.
    """
    if num_frames < 0:
        raise ValueError(f"frames: num_frames is {num_frames}; expected 0 (all) or more.")
    if size < 1:
        raise ValueError(f"frames: size is {size}; expected at least one pixel.")
    if not 0 <= margin < 0.5:
        raise ValueError(f"frames: margin is {margin:g}; expected 0 to below 0.5.")
    check_shapes(images, alphas, "frames")
    count = len(images)
    kept = torch.linspace(0, count - 1, min(num_frames or count, count), dtype=torch.float64).round().int()
    frames = kept.tolist()
    kept_alphas = alphas_of_frames(images, alphas, frames, "frames", names, monitor)  # [T, H, W]
    left, top, side = _square_around(kept_alphas, margin)
    # Cropping and resizing are one linear map per axis, the same for all frames.
    height, width = kept_alphas.shape[1:]
    rows = _resampling_weights(top, side, size, height).to(kept_alphas)  # [S, H]
    columns = _resampling_weights(left, side, size, width).to(kept_alphas)  # [S, W]
    cropped_images = kept_alphas.new_empty(len(frames), size, size, 3)
    cropped_alphas = kept_alphas.new_empty(len(frames), size, size)
    for index, frame in enumerate(frames):
        alpha = kept_alphas[index, ..., None]  # [H, W, 1]
        # Premultiplied, so that background colors do not bleed into the object's edge.
        premultiplied = torch.cat([as_float(images[frame, ..., :3]) * alpha, alpha], dim=-1)  # [H, W, 4]
        resampled = torch.einsum("sh,hwd,tw->std", rows, premultiplied, columns)  # [S, S, 4]
        weight = resampled[..., 3:]
        straight = resampled[..., :3] / weight.clamp_min(_MIN_ALPHA)
        cropped_images[index] = torch.where(weight > _MIN_ALPHA, straight, 1.0).clamp(0, 1)
        cropped_alphas[index] = weight[..., 0].clamp(0, 1)
        monitor("crop", len(frames) + index + 1, 2 * len(frames))
    return cropped_images, cropped_alphas


def _square_around(alphas: Tensor, margin: float) -> tuple[float, float, float]:
    """Return left, top and side, pixels, of the square around the object in all alphas [T, H, W]."""
    is_object = (alphas > 0.5).any(dim=0)  # [H, W]
    rows, columns = (is_object.any(dim=axis).nonzero()[:, 0].tolist() for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    side = max(bottom - top, right - left) / (1 - 2 * margin)
    return (left + right - side) / 2, (top + bottom - side) / 2, side


def _resampling_weights(start: float, side: float, target: int, source: int) -> Tensor:
    """Return the weight of each source pixel in each target pixel along one axis.

    The ``target`` pixels divide the interval from ``start`` to ``start + side``, in source pixels, evenly. A
    row sums to 1 where its target pixel lies inside the source, and to less where it reaches beyond: that
    part is transparent.

    Returns:
        Float64 [target, source].
    """
    edges = start + side * torch.arange(target + 1, dtype=torch.float64)[:, None] / target  # [target + 1, 1]
    pixels = torch.arange(source, dtype=torch.float64)
    if side > target:
        # Reducing, box filter: the share of the target pixel that each source pixel covers.
        overlaps = torch.minimum(edges[1:], pixels + 1) - torch.maximum(edges[:-1], pixels)
        return overlaps.clamp_min(0) * (target / side)
    # Enlarging, triangle filter: linear interpolation between source pixel centers, which are at +0.5.
    centers = (edges[1:] + edges[:-1]) / 2
    return (1 - (centers - pixels - 0.5).abs()).clamp_min(0)
