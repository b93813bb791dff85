"""How alike two pictures are: PSNR, SSIM and the overlap of their silhouettes, one number per picture."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .flicker import flicker

MAX_PSNR_DB = 100.0  # given to equal pictures too, so that means and JSON stay finite
_WINDOW = 11  # the constants of SSIM: Wang et al., 2004
_SIGMA = 1.5
_C1 = 0.01**2
_C2 = 0.03**2


def psnr(images: Tensor, truth: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of pictures 0..1.

    Args:
        images: [..., H, W, 3].
        truth: The same shape.

    Returns:
        [...] decibels, at most ``MAX_PSNR_DB``.

    Raises:
        ValueError: if the shapes differ.
    """
    _check_pictures("PSNR", images, truth)
    errors = (images.double() - truth.double()).square().mean(dim=(-3, -2, -1))  # [...]
    return -10 * torch.log10(errors.clamp_min(10 ** (-MAX_PSNR_DB / 10)))


def check_measurable(height: int, width: int) -> None:
    """Raise ValueError if pictures of a size are too small for ``ssim``."""
    if min(height, width) < _WINDOW:
        raise ValueError(f"SSIM: pictures of {width}x{height} pixels; expected {_WINDOW} pixels or more.")


def ssim(images: Tensor, truth: Tensor) -> Tensor:
    """Return the structural similarity of pictures 0..1.

    A Gaussian window of 11 pixels and sigma 1.5, where it lies whole in the picture; the mean over places and
    channels.

    Args:
        images: [..., H, W, 3], at least 11 pixels on a side.
        truth: The same shape.

    Returns:
        [...] within -1..1; 1 for equal pictures.

    Raises:
        ValueError: if the shapes differ or the pictures are smaller than the window.
    """
    _check_pictures("SSIM", images, truth)
    check_measurable(*images.shape[-3:-1])
    lead, picture = images.shape[:-3], images.shape[-3:]
    pairs = zip(images.reshape(-1, *picture), truth.reshape(-1, *picture), strict=True)
    # one at a time: a batch would need twenty times its own memory
    values = [_ssim_of_picture(image.double(), other.double()) for image, other in pairs]
    return torch.stack(values).reshape(lead)


def silhouette_iou(alphas: Tensor, truth: Tensor) -> Tensor:
    """Return the overlap of silhouettes, the pixels whose alpha is above one half.

    Args:
        alphas: [..., H, W].
        truth: The same shape.

    Returns:
        [...] intersection over union, 0..1; 1 where both are empty.

    Raises:
        ValueError: if the shapes differ.
    """
    if alphas.shape != truth.shape or alphas.ndim < 2:
        raise ValueError(
            f"IoU: mattes of shape {list(alphas.shape)} and {list(truth.shape)}; expected [..., H, W] twice."
        )
    first, second = alphas > 0.5, truth > 0.5
    union = (first | second).sum(dim=(-2, -1))
    overlap = (first & second).sum(dim=(-2, -1))
    return torch.where(union > 0, overlap.double() / union.clamp_min(1), 1.0)


def on_white(images: Tensor, alphas: Tensor) -> Tensor:
    """Return straight colors [..., H, W, 3] composited on white with alphas [..., H, W]."""
    return images * alphas[..., None] + (1 - alphas[..., None])


def compare(images: Tensor, alphas: Tensor, truth_images: Tensor, truth_alphas: Tensor) -> dict[str, Any]:
    """Measure V views of T frames against the truth, both composited on white.

    Args:
        images: [V, T, H, W, 3] straight colors.
        alphas: [V, T, H, W].
        truth_images: [V, T, H, W, 3] straight colors.
        truth_alphas: [V, T, H, W].

    Returns:
        ``psnr``, ``ssim``, ``iou`` and, of more than one frame, ``flicker``: means over frames and then
        views; and ``per_view``, lists of V.

    Raises:
        ValueError: if the shapes differ or there are no pictures.
    """
    if images.shape[:-1] != alphas.shape or truth_images.shape[:-1] != truth_alphas.shape:
        found = [list(part.shape) for part in (images, alphas, truth_images, truth_alphas)]
        raise ValueError(f"comparison: pictures and mattes of shapes {found}; expected matching ones.")
    pictures, truth = on_white(images, alphas), on_white(truth_images, truth_alphas)
    return compare_on_white(pictures, alphas, truth, truth_alphas)


def compare_on_white(
    images: Tensor, alphas: Tensor, truth_images: Tensor, truth_alphas: Tensor
) -> dict[str, Any]:
    """Measure like ``compare``, for pictures that are already on white, as renders are."""
    if images.ndim != 5:
        raise ValueError(f"comparison: pictures of shape {list(images.shape)}; expected [V, T, H, W, 3].")
    scores = {
        "psnr": psnr(images, truth_images),
        "ssim": ssim(images, truth_images),
        "iou": silhouette_iou(alphas, truth_alphas),
    }  # each [V, T]
    if images.shape[1] > 1:
        scores["flicker"] = flicker(images, truth_images)[:, None]
    return summarize(scores)


def summarize(scores: dict[str, Tensor]) -> dict[str, Any]:
    """Return means over frames, then views, of scores [V, T] by name, and each view's own as ``per_view``."""
    per_view = {name: values.mean(dim=1).tolist() for name, values in scores.items()}
    means = {name: sum(values) / len(values) for name, values in per_view.items()}
    return {**means, "per_view": per_view}


def _ssim_of_picture(image: Tensor, truth: Tensor) -> Tensor:
    """Return the SSIM of two pictures [H, W, 3] as a scalar."""
    both = torch.stack([image, truth, image * image, truth * truth, image * truth])  # [5, H, W, 3]
    blurred = _blur(both.permute(0, 3, 1, 2).flatten(0, 1)).unflatten(0, (5, 3))  # [5, 3, H - 10, W - 10]
    mean_1, mean_2, square_1, square_2, product = blurred
    variance_1, variance_2 = square_1 - mean_1**2, square_2 - mean_2**2
    covariance = product - mean_1 * mean_2
    luminance = (2 * mean_1 * mean_2 + _C1) / (mean_1**2 + mean_2**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_1 + variance_2 + _C2)
    return (luminance * structure).mean()


def _blur(planes: Tensor) -> Tensor:
    """Return planes [D, H, W] under the Gaussian window, where it fits: [D, H - 10, W - 10]."""
    weights = [math.exp(-((offset - _WINDOW // 2) ** 2) / (2 * _SIGMA**2)) for offset in range(_WINDOW)]
    for dim in (1, 2):
        places = planes.shape[dim] - _WINDOW + 1
        blurred = torch.zeros_like(planes.narrow(dim, 0, places))
        for offset, weight in enumerate(weights):  # in float64 many times faster than a convolution
            blurred.add_(planes.narrow(dim, offset, places), alpha=weight / sum(weights))
        planes = blurred
    return planes


def _check_pictures(subject: str, images: Tensor, truth: Tensor) -> None:
    """Raise ValueError unless both are [..., H, W, 3] of one shape and not empty."""
    if images.shape != truth.shape or images.ndim < 3 or images.shape[-1] != 3 or not images.numel():
        raise ValueError(
            f"{subject}: pictures of shape {list(images.shape)} and {list(truth.shape)}; expected one shape "
            "[..., H, W, 3] with no zero in it."
        )
