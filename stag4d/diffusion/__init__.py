"""Multi-view diffusion, anchored on one frame: six views of every frame that agree with each other."""

from .attention import ReadTokens, WriteTokens, install_reference_attention
from .denoiser import Anchor, Conditions, Progress, SamplingConfig, ancestral_step, clean_estimate, denoise
from .noise import COND, UNCOND, NoiseSource, SeededNoise

__all__ = [
    "COND",
    "UNCOND",
    "Anchor",
    "Conditions",
    "NoiseSource",
    "Progress",
    "ReadTokens",
    "SamplingConfig",
    "SeededNoise",
    "WriteTokens",
    "ancestral_step",
    "clean_estimate",
    "denoise",
    "install_reference_attention",
]
