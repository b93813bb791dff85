"""Formats of latents."""

from typing import Any


class LatentFormat:
    """Scale of latents, and colors for previews."""

    scale_factor = 1.0
    latent_channels = 4
    latent_rgb_factors: Any = None
    latent_rgb_factors_bias: Any = None
    spacial_downscale_ratio = 8


class SD15(LatentFormat):
    """That of Stable Diffusion 1."""

    def __init__(self, scale_factor: float = 0.18215) -> None:
        self.scale_factor = scale_factor
        self.latent_rgb_factors = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
