"""Score distillation of a fit: a posed network prepared for the views that are fitted."""

from __future__ import annotations

import torch

from ..diffusion import PoseConditionedDenoiser, PoseConditionedNetwork
from ..progress import Monitor
from ..view_set import ViewSet
from .fitting import DenoiserMaker


def denoiser_maker(network: PoseConditionedNetwork, seed: int) -> DenoiserMaker:
    """Return the ``make_denoiser`` of ``fit`` for a posed network.

    Args:
        network: The network, on the device where it runs.
        seed: Seed of the noise that samples the posterior of the conditioning images.
    """

    def make(views: ViewSet, monitor: Monitor) -> PoseConditionedDenoiser:
        return PoseConditionedDenoiser(network, views, torch.Generator().manual_seed(seed), monitor=monitor)

    return make
