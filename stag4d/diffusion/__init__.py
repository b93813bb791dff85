"""Multi-view diffusion, anchored on one frame: six views of every frame that agree with each other."""

from .attention import ReadTokens, WriteTokens, install_reference_attention
from .denoiser import (
    Anchor,
    Conditions,
    Progress,
    SamplingConfig,
    ancestral_step,
    clean_estimate,
    denoise,
)
from .latent_preview import LatentPreview
from .noise import COND, UNCOND, NoiseSource, SeededNoise
from .sampling import sample_latents, sampling_key
from .view_grid import ViewGrid
from .zero123plus import MultiViewModel, load_multiview_model

__all__ = [
    "COND",
    "UNCOND",
    "Anchor",
    "Conditions",
    "LatentPreview",
    "MultiViewModel",
    "NoiseSource",
    "Progress",
    "ReadTokens",
    "SamplingConfig",
    "SeededNoise",
    "ViewGrid",
    "WriteTokens",
    "ancestral_step",
    "clean_estimate",
    "denoise",
    "install_reference_attention",
    "load_multiview_model",
    "sample_latents",
    "sampling_key",
]
