"""Loaders of models."""

from typing import Any

import torch


class VAE:
    """A VAE without a network."""

    def __init__(
        self,
        sd: dict[str, Any] | None = None,
        device: torch.device | None = None,
        config: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.device = device or torch.device("cpu")
        self.first_stage_model: Any = None

    def model_size(self) -> int:
        """Return the bytes of the weights."""
        return 0
