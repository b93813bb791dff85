"""Structural similarity (SSIM; Wang et al., 2004): window and formula, of the metric and of the loss."""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 11  # pixels
_SIGMA = 1.5  # of the Gaussian window, pixels
_C1 = 0.01**2  # of values in 0..1
_C2 = 0.03**2


def blur(planes: Tensor) -> Tensor:
    """Return planes [..., H, W] blurred by the window where it fits into them: [..., H - 10, W - 10]."""
    return _blur_on_cpu(planes) if planes.device.type == "cpu" else _blur_on_gpu(planes)


def _blur_on_cpu(planes: Tensor) -> Tensor:
    """See ``blur``; a sum of shifted planes, which is faster there than a convolution."""
    for dim in (-2, -1):  # the window is separable
        size = planes.shape[dim] - WINDOW + 1
        blurred = torch.zeros_like(planes.narrow(dim, 0, size))
        for offset, weight in enumerate(_weights()):
            blurred.add_(planes.narrow(dim, offset, size), alpha=weight)
        planes = blurred
    return planes


def _blur_on_gpu(planes: Tensor) -> Tensor:
    """See ``blur``; a sum would read and write all planes for each weight.

    Every plane is a channel of its own: such convolutions are computed in full precision, others in TF32.
    """
    channels = planes.flatten(0, -3)[None]  # [1, P, H, W]
    window = _window(planes.dtype, planes.device).expand(channels.shape[1], 1, WINDOW)  # [P, 1, 11]
    for weights in (window[..., None], window[:, :, None]):
        channels = F.conv2d(channels, weights, groups=len(weights))
    return channels[0].unflatten(0, planes.shape[:-2])


@functools.cache
def _window(dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the weights [11] on a device."""
    return torch.tensor(_weights(), dtype=dtype, device=device)


def _weights() -> list[float]:
    """Return the weights of the window along one axis, with the sum 1."""
    weights = [math.exp(-((offset - WINDOW // 2) ** 2) / (2 * _SIGMA**2)) for offset in range(WINDOW)]
    return [weight / sum(weights) for weight in weights]


def ssim_of_moments(
    mean_1: Tensor, mean_2: Tensor, square_1: Tensor, square_2: Tensor, product: Tensor
) -> Tensor:
    """Return SSIM, given blurred images, blurred squares and the blurred product, all of one shape."""
    variance_1, variance_2 = square_1 - mean_1**2, square_2 - mean_2**2
    covariance = product - mean_1 * mean_2
    luminance = (2 * mean_1 * mean_2 + _C1) / (mean_1**2 + mean_2**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_1 + variance_2 + _C2)
    return luminance * structure
