"""Image metrics: PSNR, of all pixels or of the object's, SSIM and silhouette IoU, one number per image."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ..ssim import WINDOW, blur, ssim_of_moments
from .flicker import flicker

MAX_PSNR_DB = 100.0  # of equal images too, so that means and JSON stay finite


def psnr(images: Tensor, truth: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio, -10 log10(MSE), of images 0..1.

    Args:
        images: [..., H, W, 3].
        truth: Ground truth of the same shape.

    Returns:
        [...] decibels, at most ``MAX_PSNR_DB``.

    Raises:
        ValueError: if the shapes differ.
    """
    _check_images("PSNR", images, truth)
    return _decibels((images.double() - truth.double()).square().mean(dim=(-3, -2, -1)))


def masked_psnr(images: Tensor, truth: Tensor, truth_alphas: Tensor) -> Tensor:
    """Return the PSNR of the object's pixels, those where the ground truth has alpha > 0.5.

    The mask comes from the ground truth only, as in DyCheck's masked PSNR (Gao et al., 2022, ``compute_psnr``
    in ``core/metrics/image.py``): the same pixels are measured whatever was rendered, so values of several
    scenes can be compared. What a render has outside of the object is left to the IoU.

    Args:
        images: [..., H, W, 3], 0..1.
        truth: Ground truth of the same shape, on the same background.
        truth_alphas: [..., H, W].

    Returns:
        [...] decibels, at most ``MAX_PSNR_DB``; NaN where the ground truth has no object.

    Raises:
        ValueError: if the shapes differ.
    """
    _check_images("masked PSNR", images, truth)
    if truth_alphas.shape != truth.shape[:-1]:
        raise ValueError(
            f"masked PSNR: images of shape {list(truth.shape)} and alphas of shape "
            f"{list(truth_alphas.shape)}; expected [..., H, W, 3] and [..., H, W]."
        )
    mask = truth_alphas > 0.5  # [..., H, W]
    errors = (images.double() - truth.double()).square().mean(dim=-1)  # [..., H, W]
    totals = torch.where(mask, errors, 0.0).sum(dim=(-2, -1))
    return _decibels(totals / mask.sum(dim=(-2, -1)))  # 0 / 0 is NaN


def check_measurable(height: int, width: int) -> None:
    """Raise ValueError if images of a size, in pixels, are too small for ``ssim``."""
    if min(height, width) < WINDOW:
        raise ValueError(f"SSIM: images of {width}x{height} pixels; expected {WINDOW} pixels or more.")


def ssim(images: Tensor, truth: Tensor) -> Tensor:
    """Return the structural similarity (Wang et al., 2004) of images 0..1.

    The window is a Gaussian of 11 pixels and sigma 1.5, at all positions where it fits into the image; the
    mean is over positions and channels.

    Args:
        images: [..., H, W, 3], at least 11 pixels on a side.
        truth: Ground truth of the same shape.

    Returns:
        [...] within -1..1; 1 for equal images.

    Raises:
        ValueError: if the shapes differ or the images are smaller than the window.
    """
    _check_images("SSIM", images, truth)
    check_measurable(*images.shape[-3:-1])
    batch, shape = images.shape[:-3], images.shape[-3:]
    pairs = zip(images.reshape(-1, *shape), truth.reshape(-1, *shape), strict=True)
    # one at a time: a batch would need twenty times its own memory
    values = [_ssim_of_image(image.double(), other.double()) for image, other in pairs]
    return torch.stack(values).reshape(batch)


def silhouette_iou(alphas: Tensor, truth: Tensor) -> Tensor:
    """Return the intersection over union of silhouettes, the pixels with alpha > 0.5.

    Args:
        alphas: [..., H, W].
        truth: Ground truth of the same shape.

    Returns:
        [...] within 0..1; 1 where both are empty.

    Raises:
        ValueError: if the shapes differ.
    """
    if alphas.shape != truth.shape or alphas.ndim < 2:
        raise ValueError(
            f"IoU: alphas of shape {list(alphas.shape)} and {list(truth.shape)}; expected [..., H, W] twice."
        )
    first, second = alphas > 0.5, truth > 0.5
    union = (first | second).sum(dim=(-2, -1))
    overlap = (first & second).sum(dim=(-2, -1))
    return torch.where(union > 0, overlap.double() / union.clamp_min(1), 1.0)


def on_white(images: Tensor, alphas: Tensor) -> Tensor:
    """Return straight colors [..., H, W, 3] composited on white with alphas [..., H, W]."""
    return images * alphas[..., None] + (1 - alphas[..., None])


def compare(images: Tensor, alphas: Tensor, truth_images: Tensor, truth_alphas: Tensor) -> dict[str, Any]:
    """Measure T frames of V views against the ground truth, both composited on white.

    Args:
        images: [V, T, H, W, 3] straight colors.
        alphas: [V, T, H, W].
        truth_images: [V, T, H, W, 3] straight colors.
        truth_alphas: [V, T, H, W].

    Returns:
        ``psnr`` and ``psnr_masked`` (decibels), ``ssim``, ``iou`` and, for more than one frame, ``flicker``:
        means over frames, then views, see ``summarize``; ``per_view`` has the same names with lists of V
        means over frames.

    Raises:
        ValueError: if the shapes differ or there are no images.
    """
    if images.shape[:-1] != alphas.shape or truth_images.shape[:-1] != truth_alphas.shape:
        found = [list(part.shape) for part in (images, alphas, truth_images, truth_alphas)]
        raise ValueError(f"comparison: images and alphas of shapes {found}; expected matching ones.")
    white, truth_white = on_white(images, alphas), on_white(truth_images, truth_alphas)
    return compare_on_white(white, alphas, truth_white, truth_alphas)


def compare_on_white(
    images: Tensor, alphas: Tensor, truth_images: Tensor, truth_alphas: Tensor
) -> dict[str, Any]:
    """Measure like ``compare``, for images that are composited on white already, as renders are."""
    if images.ndim != 5:
        raise ValueError(f"comparison: images of shape {list(images.shape)}; expected [V, T, H, W, 3].")
    scores = {
        "psnr": psnr(images, truth_images),
        "psnr_masked": masked_psnr(images, truth_images, truth_alphas),
        "ssim": ssim(images, truth_images),
        "iou": silhouette_iou(alphas, truth_alphas),
    }  # each [V, T]
    if images.shape[1] > 1:  # one value per view: an axis of one frame, over which summarize takes the mean
        scores["flicker"] = flicker(images, truth_images)[:, None]
    return summarize(scores)


def summarize(scores: dict[str, Tensor]) -> dict[str, Any]:
    """Return means over frames, then views, of scores [V, T] by name; ``per_view`` has each view's mean.

    A score that is NaN, such as the masked PSNR of a frame without object, does not count; the mean of none
    is None.
    """
    per_view = {name: [mean(row) for row in values.tolist()] for name, values in scores.items()}
    return {**{name: mean(values) for name, values in per_view.items()}, "per_view": per_view}


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are neither None nor NaN; None if there are none."""
    counted = [value for value in values if value is not None and not math.isnan(value)]
    return sum(counted) / len(counted) if counted else None


def _decibels(errors: Tensor) -> Tensor:
    """Return the PSNR of mean squared errors of images with the peak value 1."""
    return -10 * torch.log10(errors.clamp_min(10 ** (-MAX_PSNR_DB / 10)))


def _ssim_of_image(image: Tensor, truth: Tensor) -> Tensor:
    """Return the SSIM of two images [H, W, 3], a scalar."""
    moments = torch.stack([image, truth, image * image, truth * truth, image * truth])  # [5, H, W, 3]
    moments = blur(moments.permute(0, 3, 1, 2).flatten(0, 1)).unflatten(0, (5, 3))  # [5, 3, H - 10, W - 10]
    return ssim_of_moments(*moments).mean()  # variances cancel digits, which float64 has to spare


def _check_images(subject: str, images: Tensor, truth: Tensor) -> None:
    """Raise ValueError unless both are [..., H, W, 3] of one shape and not empty."""
    if images.shape != truth.shape or images.ndim < 3 or images.shape[-1] != 3 or not images.numel():
        raise ValueError(
            f"{subject}: images of shape {list(images.shape)} and {list(truth.shape)}; expected one shape "
            "[..., H, W, 3] without empty axes."
        )
