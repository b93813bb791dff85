"""1 - SSIM: against a direct sum over each window, and its gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stag4d.evaluation import ssim
from stag4d.optimization.structural_similarity import dissimilarity
from stag4d.ssim import _blur_on_cpu, _blur_on_gpu


def pair(height: int = 14, width: int = 18, count: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images and targets that differ in a part of them, float64."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.rand(count, height, width, 3, generator=generator, dtype=torch.float64)
    images = targets.clone()
    images[0, 3:6, 2:9] = torch.rand(3, 7, 3, generator=generator, dtype=torch.float64)
    images[-1, -2:, -1] = 0.5
    return images, targets


def direct_dissimilarity(image: np.ndarray, target: np.ndarray) -> float:
    """Return the mean of 1 - SSIM of gray images, one window after another; zeros are outside."""
    offsets = np.arange(-5, 6)
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    x, y = (np.pad(part.mean(axis=-1), 5) for part in (image, target))
    total = 0.0
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            here = np.s_[row : row + 11, column : column + 11]
            mean_x, mean_y = (window * x[here]).sum(), (window * y[here]).sum()
            variance_x = (window * x[here] ** 2).sum() - mean_x**2
            variance_y = (window * y[here] ** 2).sum() - mean_y**2
            covariance = (window * x[here] * y[here]).sum() - mean_x * mean_y
            luminance = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
            structure = (2 * covariance + 9e-4) / (variance_x + variance_y + 9e-4)
            total += 1 - luminance * structure
    return total / (image.shape[0] * image.shape[1])


def test_each_value_is_the_mean_over_all_windows():
    images, targets = pair()
    expected = [direct_dissimilarity(*one) for one in zip(images.numpy(), targets.numpy(), strict=True)]
    assert dissimilarity(images, targets).tolist() == pytest.approx(expected, abs=1e-12)
    assert min(expected) > 1e-5


def test_windows_inside_the_image_agree_with_the_metric():
    targets = torch.rand(1, 40, 40, 1, dtype=torch.float64).expand(
        -1, -1, -1, 3
    )  # gray, as the metric is not
    images, inside = targets.clone(), slice(13, 27)
    images[:, inside, inside] = 0.25  # no window that reaches outside covers these pixels
    metric = 1 - ssim(images, targets)[0].item()  # a mean over the 30 x 30 windows inside
    assert dissimilarity(images, targets).item() == pytest.approx(metric * 30 * 30 / 40**2, rel=1e-9)


def test_equal_images_have_no_loss_and_no_gradient():
    images, _ = pair()
    images.requires_grad_()
    values = dissimilarity(images, images.detach())
    assert values.abs().max().item() < 1e-12
    values.sum().backward()
    assert images.grad is not None
    assert images.grad.abs().max().item() < 1e-12


def test_gradients_agree_with_finite_differences():
    images, targets = pair(9, 10, 1)
    assert torch.autograd.gradcheck(lambda x: dissimilarity(x, targets), images.requires_grad_())


def test_the_blurs_for_cpu_and_gpu_agree():
    planes = torch.rand(2, 3, 13, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    blurred = _blur_on_gpu(planes)
    assert blurred.shape == (2, 3, 3, 10)
    torch.testing.assert_close(blurred, _blur_on_cpu(planes), rtol=1e-12, atol=0)


def test_only_the_channel_means_count():
    images, targets = pair()
    rolled = dissimilarity(images.roll(1, dims=-1), targets)
    torch.testing.assert_close(rolled, dissimilarity(images, targets))
