"""A multi-view model's networks as ComfyUI's MODEL, CLIP_VISION and VAE, from a folder in diffusers' layout.

Sizes, noise schedule and prediction type are read from the folder, without ComfyUI's detection. The weights
stay in the data type of the files. Safetensors are mapped into memory: an output that is not used takes
address space and no memory, except for the VAE (0.3 GB of a published model). ComfyUI converts the weights
while a layer runs, with the same result as if they had been converted before.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import comfy.clip_vision
import comfy.ldm.models.autoencoder
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import comfy.utils
import torch
from torch import nn

from .anchored_model import EXCHANGE
from .multiview_sampling import LATENT_CHANNELS, MultiViewLatents, sampling_settings

if TYPE_CHECKING:
    from ...stag4d.diffusion import ViewGrid

_PUBLISHED_VAE = (128, 256, 512, 512)  # channels, which ComfyUI's VAE is built for
_GROUPS = 32  # of group normalization in ComfyUI's networks
_ONLY = {  # values of the configuration that ComfyUI's UNet is built for
    "act_fn": "silu",
    "norm_num_groups": _GROUPS,
    "addition_embed_type": None,
    "class_embed_type": None,
    "encoder_hid_dim": None,
    "resnet_time_scale_shift": "default",
    "time_embedding_type": "positional",
    "center_input_sample": False,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "dual_cross_attention": False,
    "only_cross_attention": False,
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "transformer_layers_per_block": 1,
    "mid_block_scale_factor": 1,
    "conv_in_kernel": 3,
    "conv_out_kernel": 3,
}


def load_networks(folder: Path, dtype: torch.dtype | None, grid: ViewGrid) -> tuple[Any, Any, Any]:
    """Return MODEL, CLIP_VISION and VAE of a multi-view model.

    Args:
        folder: The model's folder.
        dtype: See ``load_model``.
        grid: Layout and scales of its grid image.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is damaged, or weights are missing.
    """
    from ...stag4d.diffusion import network_settings  # diffusers takes seconds to import

    values, place = network_settings(folder, "vae"), str(folder)
    pixels = 2 ** (len(values["block_out_channels"]) - 1)
    latents = MultiViewLatents(grid, values["scaling_factor"], values["latent_channels"], pixels)
    return load_model(place, dtype, latents), load_clip_vision(place), load_vae(place)


def load_model(
    folder: str, dtype: torch.dtype | None, latents: MultiViewLatents, disable_dynamic: bool = False
) -> Any:
    """Return the MODEL of a multi-view model's UNet.

    A UNet that ComfyUI's own class cannot represent, as that of the bundled model, runs as diffusers' within
    ComfyUI's ``BaseModel``: LoRA files, ControlNet and quantized weights do not fit it.

    Args:
        folder: The model's folder.
        dtype: Data type of the computation; None: ComfyUI's choice for the device.
        latents: Its latent format.
        disable_dynamic: Whether to use ComfyUI's plain memory management, as its own loaders have it.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is damaged, or weights are missing.
    """
    from ...stag4d.diffusion import load_schedule, network_settings  # diffusers takes seconds to import

    values = network_settings(folder, "unet")
    sizes = unet_sizes(values)
    schedule = load_schedule(folder).config
    config = comfy.supported_models.SD20(sizes or {"in_channels": values["in_channels"]})
    config.latent_format = latents
    config.sampling_settings = sampling_settings(schedule)
    kind = (
        comfy.model_base.ModelType.V_PREDICTION
        if schedule["prediction_type"] == "v_prediction"
        else comfy.model_base.ModelType.EPS
    )
    model = _adapted(folder, config, kind) if sizes is None else _native(folder, config, kind, sizes, dtype)
    plain = disable_dynamic or sizes is None  # the dynamic management needs ComfyUI's own layers
    patcher_class = comfy.model_patcher.ModelPatcher if plain else comfy.model_patcher.CoreModelPatcher
    patcher = patcher_class(
        model,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )
    patcher.cached_patcher_init = (load_model, (folder, dtype, latents))
    return patcher


def unet_sizes(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the arguments of ComfyUI's UNet for a configuration of diffusers', None if it has none.

    Args:
        values: Whole configuration, with the defaults of what the file lacks.
    """
    channels, layers = values["block_out_channels"], values["layers_per_block"]
    heads = values["num_attention_heads"] or values["attention_head_dim"]  # diffusers' name for the number
    heads = [heads] * len(channels) if isinstance(heads, int) else heads
    has_attention = [kind == "CrossAttnDownBlock2D" for kind in values["down_block_types"]]
    has_attention_up = [kind == "CrossAttnUpBlock2D" for kind in values["up_block_types"]]
    head_widths = {
        width // number for width, number, used in zip(channels, heads, has_attention, strict=True) if used
    }
    head_widths.add(channels[-1] // heads[-1])  # the middle block
    fits = (
        all(values[name] == expected for name, expected in _ONLY.items())
        and isinstance(layers, int)
        and set(values["down_block_types"]) <= {"CrossAttnDownBlock2D", "DownBlock2D"}
        and set(values["up_block_types"]) <= {"CrossAttnUpBlock2D", "UpBlock2D"}
        and has_attention == has_attention_up[::-1]
        and all(width % channels[0] == 0 for width in channels)
        and channels[0] % _GROUPS == 0
        and len(head_widths) == 1
    )
    if not fits:
        return None
    return {
        "image_size": 32,  # not used
        "in_channels": values["in_channels"],
        "out_channels": values["out_channels"],
        "model_channels": channels[0],
        "channel_mult": [width // channels[0] for width in channels],
        "num_res_blocks": [layers] * len(channels),
        "transformer_depth": [int(used) for used in has_attention for _ in range(layers)],
        "transformer_depth_output": [int(used) for used in has_attention for _ in range(layers + 1)],
        "transformer_depth_middle": 1,
        "context_dim": values["cross_attention_dim"],
        "num_heads": -1,
        "num_head_channels": head_widths.pop(),
        "use_spatial_transformer": True,
        "use_linear_in_transformer": values["use_linear_projection"],
        "adm_in_channels": None,
        "use_checkpoint": False,
        "legacy": False,
        "use_temporal_attention": False,
        "use_temporal_resblock": False,
    }


def _native(
    folder: str, config: Any, kind: Any, sizes: Mapping[str, Any], dtype: torch.dtype | None
) -> comfy.model_base.BaseModel:
    """Return ComfyUI's own UNet with a folder's weights."""
    weights = _weights(folder, "unet")
    names = comfy.utils.unet_to_diffusers(sizes)
    renamed = {names[name]: weights.pop(name) for name in list(weights) if name in names}
    stored = comfy.utils.weight_dtype(renamed) or torch.float32
    device = comfy.model_management.get_torch_device()
    supported = config.supported_inference_dtypes
    if dtype is None:  # as ComfyUI's own loaders choose
        dtype = comfy.model_management.unet_dtype(
            device=device,
            model_params=comfy.utils.calculate_parameters(renamed),
            supported_dtypes=supported,
            weight_dtype=stored,
        )
        dtype = comfy.model_management.unet_manual_cast(dtype, device, supported) or dtype
    config.unet_config |= sizes  # of which the class has set the width of the heads
    config.set_inference_dtype(stored, None if dtype == stored else dtype, device=device)
    model = comfy.model_base.BaseModel(config, kind)
    _assign(model.diffusion_model, renamed, f"{folder}: unet")
    return model


def _adapted(folder: str, config: Any, kind: Any) -> comfy.model_base.BaseModel:
    """Return diffusers' UNet as one of ComfyUI's, in float32."""
    from ...stag4d.diffusion import load_unet  # diffusers takes seconds to import

    config.unet_config["disable_unet_model_creation"] = True
    config.set_inference_dtype(torch.float32, None)
    model = comfy.model_base.BaseModel(config, kind)
    model.diffusion_model = DiffusersUNet(load_unet(folder, torch.float32))
    comfy.model_management.archive_model_dtypes(model.diffusion_model)
    return model


class DiffusersUNet(nn.Module):
    """A UNet of diffusers with reference attention installed, called as ComfyUI calls its own.

    Args:
        unet: The UNet.
    """

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet, self.dtype = unet, unet.dtype

    def forward(
        self,
        x: torch.Tensor,
        timesteps: torch.Tensor,
        context: torch.Tensor | None = None,
        control: Any = None,
        transformer_options: Mapping[str, Any] | None = None,
        **others: Any,
    ) -> torch.Tensor:
        """Return the UNet's output; raises ValueError if a ControlNet is to act on it."""
        from ...stag4d.diffusion import OwnTokens  # diffusers takes seconds to import

        if control is not None:
            raise ValueError(
                "ControlNet: ComfyUI's ControlNets do not fit the UNet of this multi-view model; expected a "
                "published Zero123++ model."
            )
        exchange = (transformer_options or {}).get(EXCHANGE) or OwnTokens()
        output: torch.Tensor = self.unet(
            x, timesteps, context, cross_attention_kwargs={"exchange": exchange}
        ).sample
        return output


def load_clip_vision(folder: str) -> Any:
    """Return the CLIP_VISION of a multi-view model's folder; see ``load_model`` for the errors."""
    from ...stag4d.diffusion import network_settings, vision_processor  # diffusers takes seconds to import

    settings = network_settings(folder, "vision_encoder")
    processor = vision_processor(folder, settings["image_size"])
    settings |= {"model_type": "clip_vision_model"}
    settings |= {"image_mean": processor.image_mean, "image_std": processor.image_std}
    clip_vision = comfy.clip_vision.ClipVisionModel(settings)
    _assign(clip_vision.model, _weights(folder, "vision_encoder"), f"{folder}: vision_encoder")
    return clip_vision


def load_vae(folder: str) -> Any:
    """Return the VAE of a multi-view model's folder; see ``load_model`` for the errors.

    One that differs from the published ones, as that of the bundled model, runs as diffusers' within
    ComfyUI's ``VAE``, in float32.
    """
    from ...stag4d.diffusion import network_settings  # diffusers takes seconds to import

    values = network_settings(folder, "vae")
    is_published = (
        tuple(values["block_out_channels"]) == _PUBLISHED_VAE
        and values["layers_per_block"] == 2
        and values["latent_channels"] == LATENT_CHANNELS
        and values["norm_num_groups"] == _GROUPS
    )
    if not is_published:
        return _adapted_vae(folder)
    weights = _weights(folder, "vae")
    num_weights = len(weights)  # ComfyUI renames them in place
    vae = comfy.sd.VAE(sd=weights)
    vae.throw_exception_if_invalid()
    num_missing = len(vae.first_stage_model.state_dict()) - num_weights
    if num_missing > 0:  # ComfyUI only logs them
        raise ValueError(
            f"{folder}: vae: {num_missing} weights are missing; expected those that config.json describes."
        )
    vae.patcher.cached_patcher_init = (_vae_patcher, (folder,))
    return vae


def _vae_patcher(folder: str, disable_dynamic: bool = False) -> Any:
    """Return the ModelPatcher of a VAE that is loaded anew, for ``cached_patcher_init``."""
    return load_vae(folder).patcher


class DiffusersVAE(nn.Module):
    """An autoencoder of diffusers, called as ComfyUI calls its own.

    Args:
        vae: The autoencoder.
    """

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the mean of the posterior, unscaled latents [B, C, h, w], of pixels [B, 3, H, W]."""
        mean: torch.Tensor = self.vae.encode(pixels).latent_dist.mean
        return mean

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return pixels [B, 3, H, W] in -1..1 of unscaled latents."""
        pixels: torch.Tensor = self.vae.decode(latents).sample
        return pixels


def _adapted_vae(folder: str) -> Any:
    """Return diffusers' autoencoder in ComfyUI's VAE, which is built with its smallest network first."""
    from ...stag4d.diffusion import load_vae as load_diffusers_vae  # diffusers takes seconds to import

    own = load_diffusers_vae(folder)
    sizes = {"z_channels": 1, "ch": _GROUPS, "ch_mult": [1], "num_res_blocks": 0, "resolution": 8}
    sizes |= {"double_z": True, "in_channels": 3, "out_ch": 3, "attn_resolutions": [], "dropout": 0.0}
    params = {"ddconfig": sizes, "embed_dim": 1}
    placeholder = comfy.ldm.models.autoencoder.AutoencoderKL(**params)
    vae = comfy.sd.VAE(sd=placeholder.state_dict(), config={"params": params}, dtype=torch.float32)
    vae.first_stage_model = DiffusersVAE(own)
    comfy.model_management.archive_model_dtypes(vae.first_stage_model)
    vae.patcher = comfy.model_patcher.ModelPatcher(
        vae.first_stage_model,
        load_device=vae.device,
        offload_device=comfy.model_management.vae_offload_device(),
    )
    vae.latent_channels, vae.size = own.config.latent_channels, None
    vae.downscale_ratio = vae.upscale_ratio = 2 ** (len(own.config.block_out_channels) - 1)
    vae.model_size()
    return vae


def _weights(folder: str, name: str) -> dict[str, torch.Tensor]:
    """Return the weights of a network, mapped into memory."""
    from ...stag4d.diffusion import weight_paths  # diffusers takes seconds to import

    weights: dict[str, torch.Tensor] = {}
    for path in weight_paths(Path(folder), name):
        weights |= comfy.utils.load_torch_file(str(path), safe_load=True)
    return weights


def _assign(network: nn.Module, weights: Mapping[str, torch.Tensor], subject: str) -> None:
    """Make weights the parameters of a network, without a copy; raises ValueError if some are missing."""
    missing, _ = network.load_state_dict(weights, strict=False, assign=True)
    if missing:
        raise ValueError(
            f"{subject}: {len(missing)} weights are missing, the first is {missing[0]}; expected those that "
            "config.json describes."
        )
    network.requires_grad_(False)
    comfy.model_management.archive_model_dtypes(network)
