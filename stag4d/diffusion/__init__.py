"""Multi-view diffusion with a temporal anchor, and guidance models for score distillation."""

from .attention import ReadTokens, WriteTokens, install_reference_attention
from .batching import FRAMES_TO_FREE, MAX_MEASURED_FRAMES
from .conditioning import Conditioning
from .cpu_time import denoising_seconds
from .denoiser import DenoiserState, denoise, denoised_estimate, euler_ancestral_step
from .guidance_model import PoseConditionedDenoiser, PoseConditionedNetwork
from .latent_preview import LatentPreview
from .noise import COND, UNCOND, NoiseSource, SeededNoise
from .pose_conditioning import PoseConditioning, pose_numbers, read_pose_conditioning
from .sampling import sample_latents, sampling_key
from .sampling_config import Anchor, SamplingConfig
from .view_grid import ViewGrid, read_grid
from .zero123 import CameraProjection, Zero123Model, check_guidance_model, load_guidance_model
from .zero123plus import MultiViewModel, load_multiview_model, read_image_size

__all__ = [
    "COND",
    "FRAMES_TO_FREE",
    "MAX_MEASURED_FRAMES",
    "UNCOND",
    "Anchor",
    "CameraProjection",
    "Conditioning",
    "DenoiserState",
    "LatentPreview",
    "MultiViewModel",
    "NoiseSource",
    "PoseConditionedDenoiser",
    "PoseConditionedNetwork",
    "PoseConditioning",
    "ReadTokens",
    "SamplingConfig",
    "SeededNoise",
    "ViewGrid",
    "WriteTokens",
    "Zero123Model",
    "check_guidance_model",
    "denoise",
    "denoised_estimate",
    "denoising_seconds",
    "euler_ancestral_step",
    "install_reference_attention",
    "load_guidance_model",
    "load_multiview_model",
    "pose_numbers",
    "read_grid",
    "read_image_size",
    "read_pose_conditioning",
    "sample_latents",
    "sampling_key",
]
