"""The perceptual loss: LPIPS (Zhang et al., 2018) of renders and their targets, by a frozen network.

Images of up to 256 pixels are compared whole, larger ones within a random window of that side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..lpips import PerceptualDistance
from .schedules import size_at

WINDOW = 256  # pixels; VGG's features of 512 x 512 pixels take four times the memory and time


class PerceptualLoss(NamedTuple):
    """LPIPS of renders, each within a random window where it is larger than that.

    Attributes:
        network: The LPIPS network, see ``frozen``.
        places: [C, 2] in 0..1, places of the windows from the top to the bottom and from left to right.
    """

    network: PerceptualDistance
    places: Tensor

    @classmethod
    def sample(cls, network: PerceptualDistance, count: int, generator: torch.Generator) -> PerceptualLoss:
        """Return the loss of C renders, with random windows."""
        return cls(network, torch.rand(count, 2, generator=generator))

    @classmethod
    def joined(cls, parts: Sequence[PerceptualLoss]) -> PerceptualLoss:
        """Return the loss of all renders of some losses, in their order."""
        return cls(parts[0].network, torch.cat([part.places for part in parts]))

    def __call__(self, images: Tensor, targets: Tensor, positions: Tensor) -> Tensor:
        """Return the LPIPS of some of the renders, [c].

        Args:
            images: [c, H, W, 3] in 0..1, with gradients.
            targets: [c, H, W, 3], on the same backgrounds.
            positions: [c] their indices into the C renders, on the CPU.
        """
        height, width = images.shape[1:3]
        windows = [
            (_window(down, height), _window(right, width)) for down, right in self.places[positions].tolist()
        ]
        return _Distances.apply(images, targets, self.network, windows)


def frozen(network: PerceptualDistance, device: torch.device) -> PerceptualDistance:
    """Return a network, moved to a device, in evaluation mode and without gradients of its weights."""
    return network.to(device).eval().requires_grad_(False)


def check_render_sizes(
    network: PerceptualDistance,
    image_sizes: Sequence[tuple[int, int]],
    scales: Sequence[tuple[float, float]],
) -> None:
    """Raise ValueError if the smallest renders of a fit are too small for a network.

    Args:
        network: The LPIPS network.
        image_sizes: Height and width of the full renders, pixels.
        scales: (until, scale) pairs, see ``size_at``.
    """
    for height, width in image_sizes:
        size = max(height, width)
        smallest = min(size_at(progress, size, scales) for progress in (0.0, *(until for until, _ in scales)))
        sides = [max(1, round(side * smallest / size)) for side in (width, height)]
        if min(sides) < network.min_side:
            coarse = "" if smallest == size else f" at first, later {width}x{height}"
            raise ValueError(
                f"perceptual loss: renders of {sides[0]}x{sides[1]} pixels{coarse}; expected "
                f"{network.min_side} pixels or more on each side, for {network.backbone}; raise the size of "
                "the fit, or leave out the perceptual loss."
            )


def _window(place: float, side: int) -> slice:
    """Return the rows or columns of the window at a place in 0..1; all of them if there are no more."""
    first = int(place * (side - WINDOW + 1)) if side > WINDOW else 0
    return slice(first, min(first + WINDOW, side))


class _Distances(torch.autograd.Function):
    """LPIPS of one image after the other, each with its gradient: features of one at a time are in memory."""

    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        targets: Tensor,
        network: PerceptualDistance,
        windows: Sequence[tuple[slice, slice]],
    ) -> Tensor:
        """Return the distances [C] of images [C, H, W, 3], each within its window."""
        values, gradients = images.new_empty(len(images)), torch.zeros_like(images)
        with torch.enable_grad(), _deterministic(images.device):
            for index, window in enumerate(windows):
                pixels = images[index][window].detach().requires_grad_()
                value = network.distance(pixels, targets[index][window])
                (gradients[index][window],) = torch.autograd.grad(value, pixels)
                values[index] = value.detach()
        ctx.save_for_backward(gradients)
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of the images."""
        (pixel_gradients,) = ctx.saved_tensors
        return gradients[0][:, None, None, None] * pixel_gradients, None, None, None


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """Let cuDNN choose among deterministic algorithms only; on a CPU, all convolutions are deterministic."""
    if device.type != "cuda":
        yield
        return
    settings = torch.backends.cudnn
    before = settings.deterministic, settings.benchmark
    settings.deterministic, settings.benchmark = True, False
    try:
        yield
    finally:
        settings.deterministic, settings.benchmark = before
