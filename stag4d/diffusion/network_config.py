"""Configurations of networks, checked on the meta device before any memory is allocated for weights.

A configuration may describe a network of any size, or one that cannot run. So the network is first built and
run with meta tensors, which have shapes and no data, and its size is compared with that of the weight files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import AutoencoderKL, ModelMixin, UNet2DConditionModel
from torch.overrides import TorchFunctionMode
from transformers import CLIPTextModel, CLIPVisionModelWithProjection

from .json_files import shown

_CLIP_FIELDS = {  # of the published models; others are settings of transformers, not of the network
    "attention_dropout",
    "bos_token_id",
    "eos_token_id",
    "hidden_act",
    "hidden_size",
    "image_size",
    "initializer_factor",
    "initializer_range",
    "intermediate_size",
    "layer_norm_eps",
    "max_position_embeddings",
    "num_attention_heads",
    "num_channels",
    "num_hidden_layers",
    "pad_token_id",
    "patch_size",
    "projection_dim",
    "vocab_size",
}
_CLIP_PARTS = {CLIPTextModel: "text_config", CLIPVisionModelWithProjection: "vision_config"}
_LAYER_COUNTS = (
    "layers_per_block",
    "num_hidden_layers",
    "reverse_transformer_layers_per_block",
    "transformer_layers_per_block",
)
_CALLS_PER_TENSOR = 50  # of torch's functions while a network is built; it takes about 5
_SPARE_CALLS = 5_000
_MAX_WEIGHTS_TO_RUN = 20_000_000
_MIN_SCALE = 1e-6  # of latents
_TOO_MANY_LAYERS = "config.json describes more layers than there are weights"
_MAX_NAME = 200  # characters of a class


class _CallLimit(TorchFunctionMode):
    """Limits the calls of torch's functions, and thereby the time in which a network is built."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.left = limit

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        self.left -= 1
        restores_state = getattr(func, "__name__", "") == "_set_grad_enabled"  # at the end of torch.no_grad
        if self.left < 0 and not restores_state:
            raise ValueError(_TOO_MANY_LAYERS)
        return func(*args, **(kwargs or {}))


def check_kind(kind: Any, values: Mapping[str, Any], path: Path) -> None:
    """Raise ValueError if a configuration is of another class of diffusers, or of quantized weights.

    Args:
        kind: Model class of diffusers or transformers.
        values: Content of ``config.json``.
        path: The file, for messages.
    """
    if values.get("quantization_config") is not None:
        raise ValueError(f"{path}: the weights are quantized; expected float16, bfloat16 or float32.")
    name = class_name(values.get("_class_name", kind.__name__), f"{path}: _class_name")
    if issubclass(kind, ModelMixin) and name != kind.__name__ and name in dir(diffusers):
        raise ValueError(f"{path}: describes a {name}; expected a {kind.__name__}.")


def network_config(kind: Any, values: Mapping[str, Any]) -> Any:
    """Return the configuration of a network: a dict for diffusers, an object for transformers.

    Args:
        kind: Model class of diffusers or transformers.
        values: Content of ``config.json``.

    Raises:
        Exception: whatever transformers raises for malformed values.
    """
    if issubclass(kind, ModelMixin):
        return dict(values)
    part = values.get(_CLIP_PARTS[kind])  # the configuration of a whole CLIP model has one per encoder
    fields = part if isinstance(part, dict) else values
    return kind.config_class(**{name: value for name, value in fields.items() if name in _CLIP_FIELDS})


def build_on_meta(kind: Any, config: Any, num_tensors: int, num_bytes: int) -> Any:
    """Build a network with meta tensors.

    Args:
        kind: Model class of diffusers or transformers.
        config: From ``network_config``.
        num_tensors: Number of tensors in its weight files.
        num_bytes: Size of its weight files.

    Returns:
        The network, in evaluation mode.

    Raises:
        ValueError: if it is larger than its weight files.
        Exception: whatever the library raises for a configuration that it cannot build.
    """
    _check_layers(config, num_tensors)
    with torch.device("meta"), _CallLimit(_CALLS_PER_TENSOR * num_tensors + _SPARE_CALLS):
        network = kind.from_config(config) if issubclass(kind, ModelMixin) else kind(config)
    num_weights = sum(weight.numel() for weight in network.parameters())
    if num_weights > num_bytes:  # a weight takes a byte or more
        raise ValueError(f"config.json describes {num_weights} weights, and the files have {num_bytes} bytes")
    return network.eval()


def _check_layers(config: Any, num_tensors: int) -> None:
    """Raise ValueError if a block has more layers than there are tensors; the libraries list all of them."""
    values = config if isinstance(config, dict) else config.to_dict()
    counts = [values.get(name) for name in _LAYER_COUNTS]
    while counts:
        count = counts.pop()
        if isinstance(count, (list, tuple)):
            counts.extend(count)
        elif isinstance(count, (int, float)) and count > num_tensors:
            raise ValueError(_TOO_MANY_LAYERS)


@torch.no_grad()
def run_once(on_meta: Any, loaded: Any) -> None:
    """Run a network on a small input, whose values do not matter.

    Args:
        on_meta: The network with meta tensors. It is run if it is large: that takes a second at any size.
        loaded: The network with its weights.

    Raises:
        Exception: whatever the library raises for a configuration that it cannot run.
    """
    run = _RUNS.get(type(loaded))
    if run is not None:
        num_weights = sum(weight.numel() for weight in loaded.parameters())
        run(on_meta if num_weights > _MAX_WEIGHTS_TO_RUN else loaded)


def class_name(value: object, field: str) -> str:
    """Return a class name of diffusers' JSON files; those of custom pipelines are pairs of module and class.

    Raises:
        ValueError: if it is neither a string nor such a pair.
    """
    names = value if isinstance(value, list) else [value]
    are_names = all(isinstance(name, str) and len(name) <= _MAX_NAME for name in names)
    if 1 <= len(names) <= 2 and are_names:
        return str(names[-1])
    raise ValueError(f"{field} is {shown(value)}; expected the name of a class, or a module and a class.")


def _run_unet(unet: Any) -> None:
    """Predict noise for one latent."""
    config = unet.config
    side = 2 ** len(config.block_out_channels)
    like = {"device": unet.device, "dtype": unet.dtype}
    tokens = torch.zeros(1, 2, config.cross_attention_dim, **like)
    latents = torch.zeros(1, config.in_channels, side, side, **like)
    unet(latents, torch.zeros(1, device=unet.device), tokens)


def _run_vae(vae: Any) -> None:
    """Encode an image and decode its latents."""
    side = 2 ** len(vae.config.block_out_channels)
    image = torch.zeros(1, 3, side, side, device=vae.device, dtype=vae.dtype)
    decoded = vae.decode(vae.encode(image).latent_dist.mean).sample
    scale = vae.config.scaling_factor
    if decoded.shape != image.shape or not _MIN_SCALE < scale < 1 / _MIN_SCALE:
        raise ValueError(
            f"it returns images of shape {tuple(decoded.shape)}, and its scaling_factor is {scale}"
        )


def _run_vision(encoder: Any) -> None:
    """Embed an image."""
    side = encoder.config.image_size
    encoder(torch.zeros(1, 3, side, side, device=encoder.device, dtype=encoder.dtype))


_RUNS: dict[Any, Callable[[Any], None]] = {
    UNet2DConditionModel: _run_unet,
    AutoencoderKL: _run_vae,
    CLIPVisionModelWithProjection: _run_vision,
}
