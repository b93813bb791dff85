"""Score distillation for a fit: a posed prior from a folder, prepared for the clip that is fitted."""

from __future__ import annotations

import torch

from ..diffusion import Zero123Model, Zero123Prior
from ..optimization import OptimizationConfig, ScoreDistillation
from ..types import ViewSet
from .fitting import PriorMaker


def distilling(model: Zero123Model, config: OptimizationConfig) -> PriorMaker:
    """Return what ``fit`` takes as ``make_prior``.

    Args:
        model: On the device of the fit.
        config: Of the fit; its seed draws the samples of the conditions' posterior.
    """

    def make(views: ViewSet) -> ScoreDistillation:
        generator = torch.Generator().manual_seed(config.seed)
        return ScoreDistillation(Zero123Prior(model, views, generator), config.guidance)

    return make
