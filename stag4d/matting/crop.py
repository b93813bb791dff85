"""Choose frames of a video and crop them to a square: around the object's motion, or one that follows it.

Colors are straight, 0..1; a pixel belongs to the object where its alpha is above 0.5.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..progress import Monitor, silent
from .alpha import as_float, check_shapes, content_of_video
from .inspection import cut_off_warning, small_object_warning
from .selection import Selection, select_frames
from .squares import Squares, fixed_squares, following_squares

_logger = logging.getLogger(__name__)

_MIN_ALPHA = 1e-4  # 1/40 of an 8-bit level: the color of such a pixel is lost in rounding


@dataclass(frozen=True, eq=False)
class CroppedVideo:
    """T frames of a video, cropped to a square around the object.

    Attributes:
        images: [T, S, S, 3] straight colors, white where alpha is 0.
        alphas: [T, S, S].
        frames: Indices of the frames in the video.
        num_candidates: Number of frames that these were chosen from: all, or those that show the object.
        warnings: What the user should know, in sentences; they are logged, too.
        crop_offsets: [T, 2] of the square that followed the object: how far its center is to the right and
            down of the middle of its path, in units of its side; None if it did not move.
    """

    images: Tensor
    alphas: Tensor
    frames: list[int]
    num_candidates: int
    warnings: tuple[str, ...]
    crop_offsets: Tensor | None = None


def crop_video(
    images: Tensor,
    alphas: Tensor | None = None,
    *,
    num_frames: int = 0,
    size: int,
    margin: float,
    follow: bool = False,
    names: Sequence[str] | None = None,
    monitor: Monitor = silent,
) -> CroppedVideo:
    """Choose evenly spaced frames and crop them to a square around the object.

    The square is centered on the bounding box of the object in all chosen frames, so that the object moves in
    the result as it does in the video. With ``follow``, it moves with the object, and the result has its
    offsets: an object that crosses the image is then not small. Stray pixels of the alphas do not enlarge the
    square (``object_masks``), and frames without object are left out (``select_frames``). Where the square
    reaches beyond the image, alpha is 0. Colors are resampled premultiplied by alpha: reducing takes the mean
    over the area of each pixel, enlarging interpolates linearly between pixel centers.

    Args:
        images: [F, H, W, 3], or [F, H, W, 4] with alpha; floats 0..1, or uint8.
        alphas: [F, H, W], floats 0..1 or uint8; None takes or computes them as ``object_alphas`` does.
        num_frames: Number T of frames to keep, first and last included (1 keeps the first); 0, or more than
            there are, keeps all.
        size: Width and height S of the result, pixels.
        margin: Free space on each side of the longer extent of the bounding box, as a share of S.
        follow: Whether the square follows the object; its size is then that of the largest extent in a frame.
        names: F names of the frames for messages; None numbers them from 0.
        monitor: Called after each frame's alpha and after each frame's crop, 2 T units of the stage ``crop``.

    Returns:
        The frames, float32. Warnings are about frames that are left out, and frames in which the object is
        cut off or small.

    Raises:
        ValueError: if a number is out of range, no image has an object, or for images and alphas that
            ``object_alphas`` rejects.
    """
    if num_frames < 0:
        raise ValueError(f"frames: num_frames is {num_frames}; expected 0 (all) or more.")
    if size < 1:
        raise ValueError(f"frames: size is {size}; expected at least one pixel.")
    if not 0 <= margin < 0.5:
        raise ValueError(f"frames: margin is {margin:g}; expected 0 to below 0.5.")
    check_shapes(images, alphas, "frames")
    rows, columns = content_of_video(images, alphas)
    images = images[:, rows, columns]
    kept = select_frames(images, alphas, num_frames, names, monitor)
    squares = (following_squares if follow else fixed_squares)(kept.masks, margin)
    warnings = (
        cut_off_warning(kept.masks, kept.frames, names),
        small_object_warning(kept.masks, squares.side, kept.frames, names, follow=follow),
    )
    found = tuple(warning for warning in warnings if warning is not None)
    for warning in found:
        _logger.warning("%s", warning)
    cropped_images, cropped_alphas = _resample(images, kept, squares, size, monitor)
    return CroppedVideo(
        cropped_images,
        cropped_alphas,
        kept.frames,
        kept.num_candidates,
        kept.warnings + found,
        squares.crop_offsets,
    )


def _resample(
    images: Tensor, kept: Selection, squares: Squares, size: int, monitor: Monitor
) -> tuple[Tensor, Tensor]:
    """Return the colors [T, S, S, 3] and alphas [T, S, S] of kept frames in their squares."""
    height, width = kept.alphas.shape[1:]
    cropped_images = kept.alphas.new_empty(len(kept.frames), size, size, 3)
    cropped_alphas = kept.alphas.new_empty(len(kept.frames), size, size)
    for index, frame in enumerate(kept.frames):
        # Cropping and resizing are one linear map per axis, the same for all frames if the square is.
        if index == 0 or squares.corners[index] != squares.corners[index - 1]:
            left, top = squares.corners[index]
            rows = _resampling_weights(top, squares.side, size, height).to(kept.alphas)  # [S, H]
            columns = _resampling_weights(left, squares.side, size, width).to(kept.alphas)  # [S, W]
        alpha = kept.alphas[index, ..., None]  # [H, W, 1]
        # Premultiplied, so that background colors do not bleed into the object's edge.
        premultiplied = torch.cat([as_float(images[frame, ..., :3]) * alpha, alpha], dim=-1)  # [H, W, 4]
        resampled = torch.einsum("sh,hwd,tw->std", rows, premultiplied, columns)  # [S, S, 4]
        weight = resampled[..., 3:]
        straight = resampled[..., :3] / weight.clamp_min(_MIN_ALPHA)
        cropped_images[index] = torch.where(weight > _MIN_ALPHA, straight, 1.0).clamp(0, 1)
        cropped_alphas[index] = weight[..., 0].clamp(0, 1)
        monitor("crop", len(kept.frames) + index + 1, 2 * len(kept.frames))
    return cropped_images, cropped_alphas


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
