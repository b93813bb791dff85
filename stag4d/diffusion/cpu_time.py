"""Estimate of the time that denoising a video takes on a CPU, before it starts.

The floating-point operations of a diffusion step are counted with meta tensors, and the rate at which this
machine does them is measured on a small pass through the UNet: with its data type, its threads and whatever
else runs at the time.
"""

from __future__ import annotations

import time

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ..progress import Check, never_cancel
from .attention import install_reference_attention
from .sampling_config import SamplingConfig
from .token_exchange import ReadTokens, TokenExchange, WriteTokens
from .zero123plus import MultiViewModel

_SLOWEST = 1e10  # operations a second; a core of a CPU does several times as many
_SHORTEST = 60.0  # seconds; less is not worth a measurement
_MEASURED_SIDE = 32  # latent pixels


@torch.no_grad()
def denoising_seconds(
    model: MultiViewModel, num_frames: int, config: SamplingConfig, check: Check = never_cancel
) -> float | None:
    """Return an estimate of the seconds that denoising takes on a CPU; None where it is short or on a GPU.

    Args:
        model: Multi-view model.
        num_frames: Number of frames.
        config: Steps and guidance scale.
        check: Called between the passes through networks; raises an exception to cancel.
    """
    if model.unet.device.type != "cpu":
        return None
    operations = num_frames * config.num_steps * step_operations(model, config)
    if operations < _SHORTEST * _SLOWEST:
        return None
    latents = _latents(model, 1, (_MEASURED_SIDE, _MEASURED_SIDE))
    smaller = latents[..., : _MEASURED_SIDE // 4, : _MEASURED_SIDE // 4]
    seconds = 0.0
    for inputs in (smaller, latents):  # the first pass reads the weights from disk
        check()
        began = time.perf_counter()
        _call(model.unet, inputs.to(model.unet.dtype), WriteTokens())
        seconds = time.perf_counter() - began
    return operations / _operations(_on_meta(model), latents.to("meta"), WriteTokens()) * seconds


def step_operations(model: MultiViewModel, config: SamplingConfig) -> int:
    """Return the floating-point operations of one diffusion step of one frame: both passes, all branches."""
    unet, write = _on_meta(model), WriteTokens()
    num_branches = len(config.branches)
    side = model.image_size // model.pixels_per_latent
    references = _latents(model, num_branches, (side, side)).to("meta")
    grids = _latents(model, num_branches, model.grid_size).to("meta")
    return _operations(unet, references, write) + _operations(unet, grids, ReadTokens(write.tokens))


def _on_meta(model: MultiViewModel) -> UNet2DConditionModel:
    """Return the UNet with meta tensors, float32, and reference attention."""
    with torch.device("meta"):
        unet: UNet2DConditionModel = UNet2DConditionModel.from_config(model.unet.config)
    install_reference_attention(unet)
    unet.eval()
    return unet


def _latents(model: MultiViewModel, count: int, size: tuple[int, int]) -> Tensor:
    """Return zeros [B, C, h, w], float32."""
    return torch.zeros(count, model.unet.config.in_channels, *size)


def _call(unet: UNet2DConditionModel, latents: Tensor, exchange: TokenExchange) -> None:
    """Call a UNet with latents [B, C, h, w] and as many text tokens as CLIP has."""
    tokens = latents.new_zeros(len(latents), 77, unet.config.cross_attention_dim)
    unet(latents, 0, tokens, cross_attention_kwargs={"exchange": exchange})


def _operations(unet: UNet2DConditionModel, latents: Tensor, exchange: TokenExchange) -> int:
    """Return the floating-point operations of a call of a UNet with meta tensors."""
    with FlopCounterMode(display=False) as counter:
        _call(unet, latents, exchange)
    return int(counter.get_total_flops())
