"""The structural similarity loss, 1 - SSIM (Wang et al. 2004), of gray images.

3DGS takes the mean of SSIM over the color channels. Here it is computed of the mean of the channels, which
costs less beside a loss of colors. As in 3DGS, the window reads zeros outside the image. SSIM is exactly 1
where a window covers equal pixels, so on a CPU it is only computed around the pixels that differ.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ssim import WINDOW, blur, ssim_of_moments

_RADIUS = WINDOW // 2


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
        rows, columns = slice(height), slice(width)
        if images.device.type == "cpu":  # the host would wait for other devices
            differs = (images != targets).any(dim=-1).any(dim=0)  # [H, W]
            rows, columns = _span(differs.any(dim=1)), _span(differs.any(dim=0))
        y = _gray(targets[:, rows, columns])  # [C, h, w]
        mean_y, square_y = _blur(torch.stack([y, y * y]))  # [C, h, w] each
    x = _gray(images[:, rows, columns])
    mean_x, square_x, product = _Blur.apply(torch.stack([x, x * x, x * y]))
    similarity = ssim_of_moments(mean_x, mean_y, square_x, square_y, product)
    return (1 - similarity).sum(dim=(1, 2)) / (height * width)


def _gray(images: Tensor) -> Tensor:
    """Return the channel means [...] of images [..., 3]; on a CPU, ``mean`` is slower."""
    red, green, blue = images.unbind(-1)
    return (red + green + blue) / 3


def _span(differs: Tensor) -> slice:
    """Return the rows or columns whose windows, or whose neighbors' windows, cover a pixel that differs."""
    indices = differs.nonzero()
    if len(indices) == 0:
        return slice(0, 1)  # an empty image would have no gradients
    # A window that covers a differing pixel is centered within its radius, and reads as far again.
    return slice(max(int(indices[0]) - 2 * _RADIUS, 0), int(indices[-1]) + 2 * _RADIUS + 1)


class _Blur(torch.autograd.Function):
    """Blur by the separable window, which is symmetric: the gradient is blurred by the same window."""

    @staticmethod
    def forward(ctx: Any, planes: Tensor) -> Tensor:
        """Return planes [..., H, W], blurred."""
        return _blur(planes)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Return the gradient of the planes."""
        return _blur(gradients[0])


def _blur(planes: Tensor) -> Tensor:
    """Return planes [..., H, W] blurred by the window, with zeros outside of them."""
    return blur(F.pad(planes, (_RADIUS,) * 4))
