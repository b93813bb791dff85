"""The structural similarity loss, 1 - SSIM (Wang et al. 2004), of gray images.

3DGS takes the mean over the color channels; the mean of the channels, as here, costs a third and serves as
well beside a loss of colors. The window is 3DGS's: a Gaussian of 11 pixels and sigma 1.5 that reads zeros
outside the image. SSIM is exactly 1 where a window covers equal pixels, so it is only computed around the
pixels that differ.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_RADIUS, _SIGMA = 5, 1.5  # pixels
_C1, _C2 = 0.01**2, 0.03**2  # for values in 0..1


def dissimilarity(images: Tensor, targets: Tensor) -> Tensor:
    """Return 1 - SSIM of the channel means of C images, each a mean over pixels.

    Args:
        images: [C, H, W, 3] in 0..1, with gradients.
        targets: [C, H, W, 3].

    Returns:
        [C] in 0..2.
    """
    height, width = images.shape[1:3]
    with torch.no_grad():
        differs = (images != targets).any(dim=-1).any(dim=0)  # [H, W]
        rows, columns = _span(differs.any(dim=1)), _span(differs.any(dim=0))
        y = targets[:, rows, columns].mean(dim=-1)  # [C, h, w]
        mean_y, square_y = _blur(torch.stack([y, y * y]))  # [C, h, w] each
    x = images[:, rows, columns].mean(dim=-1)
    mean_x, square_x, product = _blur(torch.stack([x, x * x, x * y]))
    variance_x, variance_y = square_x - mean_x.square(), square_y - mean_y.square()
    covariance = product - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x.square() + mean_y.square() + _C1)
    structure = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    return (1 - luminance * structure).sum(dim=(1, 2)) / (height * width)


def _span(differs: Tensor) -> slice:
    """Return the rows or columns whose windows, or whose neighbors' windows, cover a pixel that differs."""
    indices = differs.nonzero()
    if len(indices) == 0:
        return slice(0, 1)  # an empty image would have no gradients
    # A window that covers a differing pixel is centered within its radius, and reads as far again.
    return slice(max(int(indices[0]) - 2 * _RADIUS, 0), int(indices[-1]) + 2 * _RADIUS + 1)


def _blur(planes: Tensor) -> Tensor:
    """Return images [..., H, W] blurred by the separable window."""
    offsets = range(-_RADIUS, _RADIUS + 1)
    weights = planes.new_tensor([math.exp(-(offset**2) / (2 * _SIGMA**2)) for offset in offsets])
    window = (weights / weights.sum()).expand(planes[..., 0, 0].numel(), 1, 1, -1)  # [P, 1, 1, 11]
    flat = planes.flatten(0, -3)[None]  # [1, P, H, W]: one group for each image, fastest on a CPU
    for kernel, padding in ((window.transpose(2, 3), (_RADIUS, 0)), (window, (0, _RADIUS))):
        flat = F.conv2d(flat, kernel, padding=padding, groups=len(kernel))
    return flat[0].reshape(planes.shape)
