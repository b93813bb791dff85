"""Multi-view diffusion, anchored on one frame: six views of every frame that agree with each other."""

from .attention import ReadTokens, WriteTokens, install_reference_attention
from .batching import MAX_MEASURED_FRAMES
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
from .zero123 import CameraProjection, Zero123Model, Zero123Prior, camera_numbers, load_guidance_model
from .zero123plus import MultiViewModel, load_multiview_model

__all__ = [
    "COND",
    "MAX_MEASURED_FRAMES",
    "UNCOND",
    "Anchor",
    "CameraProjection",
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
    "Zero123Model",
    "Zero123Prior",
    "ancestral_step",
    "camera_numbers",
    "clean_estimate",
    "denoise",
    "install_reference_attention",
    "load_guidance_model",
    "load_multiview_model",
    "sample_latents",
    "sampling_key",
]
