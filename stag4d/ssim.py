"""Structural similarity (SSIM; Wang et al., 2004): window and formula, of the metric and of the loss."""

from __future__ import annotations

import math

import torch
from torch import Tensor

WINDOW = 11  # pixels
_SIGMA = 1.5  # of the Gaussian window, pixels
_C1 = 0.01**2  # of values in 0..1
_C2 = 0.03**2


def blur(planes: Tensor) -> Tensor:
    """Return planes [..., H, W] blurred by the window where it fits into them: [..., H - 10, W - 10]."""
    weights = [math.exp(-((offset - WINDOW // 2) ** 2) / (2 * _SIGMA**2)) for offset in range(WINDOW)]
    for dim in (-2, -1):  # the window is separable
        size = planes.shape[dim] - WINDOW + 1
        blurred = torch.zeros_like(planes.narrow(dim, 0, size))
        for offset, weight in enumerate(weights):  # on a CPU faster than a convolution
            blurred.add_(planes.narrow(dim, offset, size), alpha=weight / sum(weights))
        planes = blurred
    return planes


def ssim_of_moments(
    mean_1: Tensor, mean_2: Tensor, square_1: Tensor, square_2: Tensor, product: Tensor
) -> Tensor:
    """Return SSIM, given blurred images, blurred squares and the blurred product, all of one shape."""
    variance_1, variance_2 = square_1 - mean_1**2, square_2 - mean_2**2
    covariance = product - mean_1 * mean_2
    luminance = (2 * mean_1 * mean_2 + _C1) / (mean_1**2 + mean_2**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_1 + variance_2 + _C2)
    return luminance * structure
