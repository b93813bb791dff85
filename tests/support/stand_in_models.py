"""Nodes for ComfyUI's custom_nodes that give its own models at a small size with random weights.

Each takes the inputs of the loader that it stands for. The classes are ComfyUI's; sizes and weights differ.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import comfy.model_management
import comfy.ops
import comfy.sd
import comfy.supported_models
import torch
from comfy.clip_vision import ClipVisionModel
from comfy.ldm.triposplat.vae import (
    ElasticGaussianFixedlenDecoder,
    OctreeGaussianDecoder,
    OctreeProbabilityFixedlenDecoder,
)
from comfy.model_patcher import ModelPatcher

WIDTH = 64  # channels
TRIPOSPLAT_LATENTS = 8  # channels of the image latents
TEXT = ("STRING", {"default": ""})
SV3D_UNET = {
    "image_size": 32,
    "in_channels": 8,
    "out_channels": 4,
    "model_channels": WIDTH,
    "num_res_blocks": [1, 1],
    "channel_mult": [1, 2],
    "transformer_depth": [1, 1],
    "transformer_depth_output": [1, 1, 1, 1],
    "transformer_depth_middle": 1,
    "context_dim": 1024,
    "num_classes": "sequential",
    "adm_in_channels": 1280,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": True,
    "use_temporal_attention": True,
    "use_temporal_resblock": True,
    "use_spatial_context": True,
    "extra_ff_mix_layer": True,
    "merge_strategy": "learned_with_images",
    "video_kernel_size": [3, 1, 1],
    "legacy": False,
}
VISION = {
    "model_type": "clip_vision_model",
    "hidden_act": "gelu",
    "hidden_size": WIDTH,
    "image_size": 28,
    "intermediate_size": WIDTH,
    "num_attention_heads": 1,
    "num_channels": 3,
    "num_hidden_layers": 2,
    "patch_size": 14,
    "projection_dim": 1024,
}
DINO = {
    "model_type": "dinov3",
    "hidden_size": WIDTH,
    "intermediate_size": WIDTH,
    "layer_norm_eps": 1e-5,
    "num_attention_heads": 1,
    "num_channels": 3,
    "num_hidden_layers": 1,
    "num_register_tokens": 4,
    "patch_size": 16,
    "rope_theta": 100.0,
    "use_gated_mlp": True,
}


class SmallGaussianDecoder(OctreeGaussianDecoder):
    """TripoSplat's decoder with two small networks."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        sizes = {"model_channels": 48, "num_blocks": 1, "num_heads": 1}
        operations = comfy.ops.disable_weight_init
        self.octree = OctreeProbabilityFixedlenDecoder(**sizes, operations=operations)
        self.gs = ElasticGaussianFixedlenDecoder(**sizes, operations=operations)


@torch.no_grad()
def randomize(module: torch.nn.Module) -> None:
    """Set all parameters: matrices to noise, scales to 1, shifts to 0."""
    generator = torch.Generator().manual_seed(0)
    for name, value in module.named_parameters():
        if value.ndim > 1:
            noise = torch.randn(value.shape, generator=generator)
            value.copy_(noise / value[0].numel() ** 0.5)
        else:
            value.fill_(0.0 if name.endswith("bias") else 1.0)


def patcher(module: torch.nn.Module) -> ModelPatcher:
    """Return a module with random weights, for ComfyUI's memory management."""
    randomize(module)
    management = comfy.model_management
    return ModelPatcher(
        module, load_device=management.get_torch_device(), offload_device=management.unet_offload_device()
    )


def diffusion_model(config: Any) -> ModelPatcher:
    """Return the MODEL of a model configuration of ComfyUI."""
    config.set_inference_dtype(torch.float32, None)
    return patcher(config.get_model({}, ""))


def image_encoder(config: dict[str, Any]) -> ClipVisionModel:
    """Return the CLIP_VISION of a configuration."""
    model = ClipVisionModel(config)
    randomize(model.model)
    return model


def image_vae(channels: int, levels: int) -> comfy.sd.VAE:
    """Return a VAE with latents of so many channels and ``2 ** (levels - 1)`` times fewer rows."""
    sizes = {
        "z_channels": channels,
        "ch_mult": [1] * levels,
        "resolution": 256,
        "in_channels": 3,
        "out_ch": 3,
    }
    sizes |= {"double_z": True, "ch": 32, "num_res_blocks": 1, "attn_resolutions": [], "dropout": 0.0}
    vae = comfy.sd.VAE(sd={}, config={"params": {"ddconfig": sizes, "embed_dim": channels}})
    randomize(vae.first_stage_model)
    vae.latent_channels = channels
    vae.downscale_ratio = vae.upscale_ratio = 2 ** (levels - 1)
    return vae


def with_disc(decode: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Return a decoder whose images are white outside a disc: an object on a plain background."""

    def decode_disc(latents: torch.Tensor, **options: Any) -> torch.Tensor:
        images = decode(latents, **options).clamp(-1.0, 0.5)  # [N, 3, H, W] in -1..1
        rows, columns = (torch.linspace(-1, 1, size, device=images.device) for size in images.shape[-2:])
        is_inside = rows[:, None] ** 2 + columns**2 < 0.5
        return torch.where(is_inside, images, 1.0)

    return decode_disc


class StandInSV3D:
    """In place of ImageOnlyCheckpointLoader."""

    CATEGORY, FUNCTION = "tests", "load"
    RETURN_TYPES = ("MODEL", "CLIP_VISION", "VAE")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"ckpt_name": TEXT}}

    def load(self, ckpt_name: str) -> tuple[Any, ...]:
        vae = image_vae(4, 4)
        vae.first_stage_model.decode = with_disc(vae.first_stage_model.decode)
        return diffusion_model(comfy.supported_models.SV3D_p(SV3D_UNET)), image_encoder(VISION), vae


class StandInTripoSplat:
    """In place of UNETLoader."""

    CATEGORY, FUNCTION = "tests", "load"
    RETURN_TYPES = ("MODEL",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"unet_name": TEXT, "weight_dtype": TEXT}}

    def load(self, unet_name: str, weight_dtype: str) -> tuple[Any, ...]:
        sizes = {"model_channels": WIDTH, "cond_channels": WIDTH, "cond2_channels": TRIPOSPLAT_LATENTS}
        sizes |= {"num_blocks": 1, "num_refiner_blocks": 1}
        return (diffusion_model(comfy.supported_models.TripoSplat({"image_model": "triposplat"} | sizes)),)


class StandInDino:
    """In place of CLIPVisionLoader."""

    CATEGORY, FUNCTION = "tests", "load"
    RETURN_TYPES = ("CLIP_VISION",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"clip_name": TEXT}}

    def load(self, clip_name: str) -> tuple[Any, ...]:
        return (image_encoder(DINO),)


class StandInVAE:
    """In place of VAELoader: TripoSplat's decoder for a name with ``decoder``, else its image VAE."""

    CATEGORY, FUNCTION = "tests", "load"
    RETURN_TYPES = ("VAE",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"vae_name": TEXT}}

    def load(self, vae_name: str) -> tuple[Any, ...]:
        if "decoder" not in vae_name:
            return (image_vae(TRIPOSPLAT_LATENTS, 5),)
        found = patcher(SmallGaussianDecoder().eval())
        return (
            SimpleNamespace(
                first_stage_model=found.model,
                patcher=found,
                device=found.load_device,
                vae_dtype=torch.float32,
            ),
        )


NODE_CLASS_MAPPINGS = {
    node.__name__: node for node in (StandInSV3D, StandInTripoSplat, StandInDino, StandInVAE)
}
