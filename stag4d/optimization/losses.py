"""Photometric and alpha losses of the given views."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..devices import to_device
from ..types import RenderOutput
from .perceptual_loss import PerceptualLoss
from .structural_similarity import dissimilarity
from .training_views import TrainingBatch


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Weights of the losses of the given views.

    Attributes:
        kind: ``l1`` tolerates inconsistent views (ours), ``mse`` is the official code's.
        ssim: Share of 1 - SSIM in the color losses, beside ``kind`` (3DGS: 0.2; official: 0).
        perceptual: Weight of LPIPS relative to that of color, where its network is given (official: 0; common
            beside L1: 0.05 to 0.2).
        input_color: Weight of the input view's color (official: 20,000 times the sum over four frames).
        input_alpha: Weight of its alpha (official: 5,000 times that sum).
        view_color: Weight of the posed views' color (official: 0).
        view_alpha: Weight of their alphas (official: 0).
        ramp: Progress over which all of them rise from 0 (official: 0.25, 2000 of 8000 steps).
    """

    kind: Literal["l1", "mse"] = "l1"
    ssim: float = 0.0
    perceptual: float = 0.1
    input_color: float = 1.0
    input_alpha: float = 0.5
    view_color: float = 1.0
    view_alpha: float = 0.5
    ramp: float = 0.0

    def __post_init__(self) -> None:
        """Check the values; raises ValueError with the offending one."""
        if self.kind not in ("l1", "mse"):
            raise ValueError(f"losses: unknown kind {self.kind!r}; expected 'l1' or 'mse'.")
        if not 0 <= self.ssim <= 1:
            raise ValueError(f"losses: ssim is {self.ssim}; expected a share in 0 to 1.")
        if not 0 <= self.perceptual < math.inf:
            raise ValueError(f"losses: perceptual is {self.perceptual}; expected a finite number from 0.")
        if min(self.input_color, self.input_alpha, self.view_color, self.view_alpha, self.ramp) < 0:
            raise ValueError(f"losses: {self}; no weight may be negative.")


def view_losses(
    output: RenderOutput,
    batch: TrainingBatch,
    weights: LossWeights,
    progress: float,
    perceptual: PerceptualLoss | None = None,
) -> dict[str, Tensor]:
    """Return the weighted losses of C renders, each a mean over pixels, summed over renders.

    Args:
        output: Renders.
        batch: Their targets, on the same backgrounds, and the weights of the given images.
        weights: Weights of colors and alphas, of the input view and the others.
        progress: Of the run, for the ramp.
        perceptual: The perceptual loss of the renders; None computes none.

    Returns:
        ``color`` and ``alpha``, and ``perceptual`` if it is given, scalars.
    """
    ramp = min(1.0, progress / weights.ramp) if weights.ramp > 0 else 1.0
    color_errors = _per_render(output.images - batch.targets.images, weights.kind)  # [C]
    if weights.ssim > 0:
        differences = dissimilarity(output.images, batch.targets.images)  # [C]
        color_errors = (1 - weights.ssim) * color_errors + weights.ssim * differences
    alpha_errors = _per_render(output.alphas - batch.targets.alphas, weights.kind)  # [C]
    chosen = batch.is_reference.float()
    color_weights = batch.weights * (chosen * weights.input_color + (1 - chosen) * weights.view_color)
    alpha_weights = batch.weights * (chosen * weights.input_alpha + (1 - chosen) * weights.view_alpha)
    color_weights, alpha_weights = to_device(
        torch.stack([color_weights, alpha_weights]), output.images.device
    )
    losses = {
        "color": ramp * (color_weights * color_errors).sum(),
        "alpha": ramp * (alpha_weights * alpha_errors).sum(),
    }
    if perceptual is not None:
        distances = perceptual(output.images, batch.targets.images, batch.positions)  # [C]
        losses["perceptual"] = ramp * weights.perceptual * (color_weights * distances).sum()
    return losses


def _per_render(difference: Tensor, kind: str) -> Tensor:
    """Return the mean error of each render, [C]."""
    return (difference.abs() if kind == "l1" else difference.square()).flatten(1).mean(dim=1)
