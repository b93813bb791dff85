"""Autoencoders."""

from typing import Any

import torch


class AutoencoderKL(torch.nn.Module):
    """An autoencoder without layers."""

    def __init__(self, embed_dim: int, **kwargs: Any) -> None:
        super().__init__()
