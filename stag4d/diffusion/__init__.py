"""Multi-view diffusion, anchored on one frame: six views of every frame that agree with each other."""

from .attention import ReadTokens, WriteTokens, install_reference_attention
from .denoiser import Anchor, Conditions, ancestral_step, denoise
from .noise import COND, UNCOND, NoiseSource, SeededNoise

__all__ = [
    "COND",
    "UNCOND",
    "Anchor",
    "Conditions",
    "NoiseSource",
    "ReadTokens",
    "SeededNoise",
    "WriteTokens",
    "ancestral_step",
    "denoise",
    "install_reference_attention",
]
