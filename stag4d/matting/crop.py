"""Make a clip of one object ready for the method: frames, mattes, and one square crop for all of them.

Colors are straight, 0..1; a pixel belongs to the object where its alpha is above one half.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..progress import Monitor, silent
from .background import alpha_from_border

_MIN_ALPHA = 1e-4  # a fortieth of an 8-bit level: below it there is no color to recover


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
    """Choose frames and cut one square around the object's whole motion.

    The square is centered on the bounding box of the object in all chosen frames, so an object that moves in
    the input moves in the result. Where the square reaches beyond the picture, alpha is 0. Colors are
    weighted by alpha while they are resampled: going down, a pixel is the mean over its area; going up, it is
    interpolated linearly between pixel centers.

    Args:
        images: [F, H, W, 3], or [F, H, W, 4] with alpha; floats, or bytes of 0 to 255.
        alphas: [F, H, W] mattes, floats or bytes; None takes them from ``images``, as ``object_alphas`` does.
        num_frames: Frames to keep, spread evenly, first and last included (1 keeps the first); 0 or more than
            there are keeps all.
        size: Side S of the result, pixels.
        margin: Share of the result's side that stays free on each side of the box's longer extent.
        names: What messages call the frames; None numbers them from 0.
        monitor: Called after each matte and each cut, 2 T in all.

    Returns:
        Images [T, S, S, 3], white where alpha is 0, and alphas [T, S, S]; float32.

    Raises:
        ValueError: if a number is out of range, or for images and mattes that ``object_alphas`` refuses.
    """
    if num_frames < 0:
        raise ValueError(f"clip: num_frames is {num_frames}; expected 0 (all) or more.")
    if size < 1:
        raise ValueError(f"clip: size is {size}; expected at least one pixel.")
    if not 0 <= margin < 0.5:
        raise ValueError(f"clip: margin is {margin:g}; expected 0 to below 0.5.")
    _check_batch(images, alphas, "clip")
    count = len(images)
    kept = torch.linspace(0, count - 1, min(num_frames or count, count), dtype=torch.float64).round().int()
    frames = kept.tolist()
    mattes = _mattes(images, alphas, frames, "clip", names, monitor)  # [T, H, W]
    left, top, side = _square_around(mattes, margin)
    height, width = mattes.shape[1:]
    rows = _resampling_weights(top, side, size, height).to(mattes)  # [S, H]
    columns = _resampling_weights(left, side, size, width).to(mattes)  # [S, W]
    cut_images = mattes.new_empty(len(frames), size, size, 3)
    cut_alphas = mattes.new_empty(len(frames), size, size)
    for index, frame in enumerate(frames):
        alpha = mattes[index, ..., None]  # [H, W, 1]
        premultiplied = torch.cat([_as_float(images[frame, ..., :3]) * alpha, alpha], dim=-1)  # [H, W, 4]
        resampled = torch.einsum("sh,hwd,tw->std", rows, premultiplied, columns)  # [S, S, 4]
        weight = resampled[..., 3:]
        straight = resampled[..., :3] / weight.clamp_min(_MIN_ALPHA)
        cut_images[index] = torch.where(weight > _MIN_ALPHA, straight, 1.0).clamp(0, 1)
        cut_alphas[index] = weight[..., 0].clamp(0, 1)
        monitor("crop", len(frames) + index + 1, 2 * len(frames))
    return cut_images, cut_alphas


def object_alphas(images: Tensor, alphas: Tensor | None = None, *, subject: str = "clip") -> Tensor:
    """Return a matte for every image: the given one, else the image's alpha, else from its plain background.

    Args:
        images: [F, H, W, 3], or [F, H, W, 4] with alpha; floats, or bytes of 0 to 255.
        alphas: [F, H, W], floats or bytes too, or None.
        subject: What the images are, for error messages.

    Returns:
        Alphas [F, H, W], float32 0..1.

    Raises:
        ValueError: if there are no images, shapes do not match, a value is not finite, a matte is empty,
            every matte is full, or the background is not plain where it is needed.
    """
    _check_batch(images, alphas, subject)
    return _mattes(images, alphas, range(len(images)), subject)


def _check_batch(images: Tensor, alphas: Tensor | None, subject: str) -> None:
    """Raise ValueError unless images are a batch of pictures, and mattes one for each of them."""
    if images.ndim != 4 or images.shape[-1] not in (3, 4):
        raise ValueError(f"{subject}: images have shape {list(images.shape)}; expected [F, H, W, 3 or 4].")
    count, height, width = images.shape[:3]
    if count < 1:
        raise ValueError(f"{subject}: no frames; expected at least one.")
    if alphas is None:
        return
    if alphas.ndim != 3 or len(alphas) != count:
        raise ValueError(
            f"{subject}: mattes have shape {list(alphas.shape)}; expected {[count, height, width]}, "
            "one for each image."
        )
    if alphas.shape != images.shape[:3]:
        raise ValueError(
            f"{subject}: mattes of {alphas.shape[2]}x{alphas.shape[1]} pixels; expected {width}x{height}, "
            "as the images."
        )


def _mattes(
    images: Tensor,
    alphas: Tensor | None,
    frames: Sequence[int],
    subject: str,
    names: Sequence[str] | None = None,
    monitor: Monitor = silent,
) -> Tensor:
    """Return alphas [T, H, W] of some frames of a checked batch; raises ValueError as ``object_alphas``."""
    found = []
    for frame in frames:
        name = f"image {frame}" if names is None else names[frame]
        found.append(_matte(images[frame], None if alphas is None else alphas[frame], f"{subject}: {name}"))
        monitor("crop", len(found), 2 * len(frames))
    mattes = torch.stack(found)
    if mattes.min() > 0.5:
        raise ValueError(f"{subject}: every matte is full; expected background around the object.")
    return mattes


def _matte(image: Tensor, alpha: Tensor | None, name: str) -> Tensor:
    """Return one frame's matte, float32 [H, W]; raises ValueError that begins with its name."""
    image = _as_float(image)
    if not image.isfinite().all():
        raise ValueError(f"{name} has pixels that are not finite; expected 0 to 1.")
    if alpha is not None:
        matte = _as_float(alpha)
    elif image.shape[-1] == 4:
        matte = image[..., 3]
    else:
        try:
            matte = alpha_from_border(image)
        except ValueError as error:
            raise ValueError(f"{name} came without a matte, and {error}") from error
    if not matte.isfinite().all():
        raise ValueError(f"{name} has a matte that is not finite; expected 0 to 1.")
    if matte.max() <= 0.5:
        raise ValueError(
            f"{name} has an empty matte, its largest alpha is {matte.max():g}; expected an object in every "
            "image."
        )
    return matte.clamp(0, 1)


def _as_float(image: Tensor) -> Tensor:
    """Return an image as float32 0..1: a long clip is kept as bytes and converted frame by frame."""
    return image.float() / 255 if image.dtype == torch.uint8 else image.float()


def _square_around(mattes: Tensor, margin: float) -> tuple[float, float, float]:
    """Return left, top and side, in pixels, of the square around what any matte [T, H, W] shows."""
    is_seen = (mattes > 0.5).any(dim=0)  # [H, W]
    rows, columns = (is_seen.any(dim=axis).nonzero()[:, 0].tolist() for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    side = max(bottom - top, right - left) / (1 - 2 * margin)
    return (left + right - side) / 2, (top + bottom - side) / 2, side


def _resampling_weights(start: float, side: float, target: int, source: int) -> Tensor:
    """Return what each source pixel gives to each of ``target`` pixels that divide ``side`` from ``start``.

    A row sums to one where it lies inside the source, and to less where it reaches beyond.

    Returns:
        Float64 [target, source].
    """
    edges = start + side * torch.arange(target + 1, dtype=torch.float64)[:, None] / target  # [target + 1, 1]
    pixels = torch.arange(source, dtype=torch.float64)
    if side > target:
        overlaps = torch.minimum(edges[1:], pixels + 1) - torch.maximum(edges[:-1], pixels)
        return overlaps.clamp_min(0) * (target / side)
    centers = (edges[1:] + edges[:-1]) / 2
    return (1 - (centers - pixels - 0.5).abs()).clamp_min(0)
