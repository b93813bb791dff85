"""Multi-view diffusion with a temporal anchor, and guidance models for score distillation."""

from .attention import install_reference_attention
from .batching import FRAMES_TO_FREE, MAX_MEASURED_FRAMES, AdaptiveBatches, anchor_first
from .conditioning import Conditioning
from .cpu_time import denoising_seconds
from .denoiser import DenoiserState, denoise, denoised_estimate, euler_ancestral_step
from .empty_prompt import empty_prompt_embeddings
from .folder_parts import (
    MultiViewRig,
    load_schedule,
    load_unet,
    load_vae,
    network_settings,
    published_rig,
    read_rig,
    trailing_timesteps,
    vision_processor,
    weight_paths,
)
from .guidance_model import PoseConditionedDenoiser, PoseConditionedNetwork
from .latent_preview import LatentPreview
from .noise import COND, UNCOND, NoiseSource, SeededNoise
from .pose_conditioning import PoseConditioning, pose_numbers, read_pose_conditioning
from .sampling import sample_latents, sampling_key
from .sampling_config import Anchor, SamplingConfig
from .token_exchange import OwnTokens, ReadTokens, TokenExchange, Tokens, WriteTokens
from .view_grid import ViewGrid, read_grid
from .zero123 import CameraProjection, Zero123Model, check_guidance_model, load_guidance_model
from .zero123plus import (
    MultiViewModel,
    gray_background,
    load_multiview_model,
    read_image_size,
    read_sampling,
)

__all__ = [
    "COND",
    "FRAMES_TO_FREE",
    "MAX_MEASURED_FRAMES",
    "UNCOND",
    "AdaptiveBatches",
    "Anchor",
    "CameraProjection",
    "Conditioning",
    "DenoiserState",
    "LatentPreview",
    "MultiViewModel",
    "MultiViewRig",
    "NoiseSource",
    "OwnTokens",
    "PoseConditionedDenoiser",
    "PoseConditionedNetwork",
    "PoseConditioning",
    "ReadTokens",
    "SamplingConfig",
    "SeededNoise",
    "TokenExchange",
    "Tokens",
    "ViewGrid",
    "WriteTokens",
    "Zero123Model",
    "anchor_first",
    "check_guidance_model",
    "denoise",
    "denoised_estimate",
    "denoising_seconds",
    "empty_prompt_embeddings",
    "euler_ancestral_step",
    "gray_background",
    "install_reference_attention",
    "load_guidance_model",
    "load_multiview_model",
    "load_schedule",
    "load_unet",
    "load_vae",
    "network_settings",
    "pose_numbers",
    "published_rig",
    "read_grid",
    "read_image_size",
    "read_pose_conditioning",
    "read_rig",
    "read_sampling",
    "sample_latents",
    "sampling_key",
    "trailing_timesteps",
    "vision_processor",
    "weight_paths",
]
