"""Score distillation for a fit: a posed prior from a folder, prepared for the clip that is fitted."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..diffusion import Zero123Model, Zero123Prior
from ..optimization import OptimizationConfig, ScoreDistillation
from ..types import ViewSet
from .fitting import PriorMaker


def distilling(
    model: Zero123Model, config: OptimizationConfig, on_frame: Callable[[int], None] = lambda done: None
) -> PriorMaker:
    """Return what ``fit`` takes as ``make_prior``.

    Args:
        model: The posed prior.
        config: Of the fit; its seed draws the samples of the conditions' posterior.
        on_frame: Called with the number of frames done, after each that the prior is told of.
    """

    def make(views: ViewSet) -> ScoreDistillation:
        generator = torch.Generator().manual_seed(config.seed)
        return ScoreDistillation(Zero123Prior(model, views, generator, on_frame=on_frame), config.guidance)

    return make
