"""Configurations of models."""

from typing import Any

import torch


class SD20:
    """Configuration of Stable Diffusion 2."""

    supported_inference_dtypes = (torch.float16, torch.bfloat16, torch.float32)
    latent_format: Any = None
    sampling_settings: Any = None

    def __init__(self, unet_config: dict[str, Any]) -> None:
        self.unet_config = unet_config.copy()

    def set_inference_dtype(self, dtype: torch.dtype, manual_cast_dtype: torch.dtype | None) -> None:
        """Set the data types of weights and computation."""
        self.unet_config["dtype"], self.manual_cast_dtype = dtype, manual_cast_dtype
