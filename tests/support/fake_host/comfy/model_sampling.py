"""Noise schedules of a MODEL."""

from typing import Any

import torch


class ModelSamplingDiscrete(torch.nn.Module):
    """A schedule of discrete timesteps, at first the noise levels 1 to 1000."""

    def __init__(self, model_config: Any = None, zsnr: bool | None = None) -> None:
        super().__init__()
        self.set_sigmas(torch.arange(1.0, 1001.0))

    def set_sigmas(self, sigmas: torch.Tensor) -> None:
        """Set the noise levels [T], ascending."""
        self.register_buffer("sigmas", sigmas)
