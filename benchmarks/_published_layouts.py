"""The published layouts of Zero123++ and Zero123-XL at full size, and folders of random weights in them.

Sizes are those of ``sudo-ai/zero123plus-v1.1`` and ``ashawkey/zero123-xl-diffusers``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from diffusers import AutoencoderKL, ModelMixin, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextModel, CLIPVisionModelWithProjection

from stag4d.diffusion import CameraProjection

IMAGE_SIZE, CLIP_SIZE = 512, 224  # pixels, of the feature extractors
GRID_SIZE = (120, 80)  # latent pixels
NUM_TOKENS, NUM_WORDS = 77, 49408
START, END = "<|startoftext|>", "<|endoftext|>"


class Network(NamedTuple):
    """A network of a layout.

    Attributes:
        kind: Its class of diffusers or transformers.
        config: Its configuration.
    """

    kind: Any
    config: dict[str, Any]

    def on_meta(self) -> Any:
        """Return the network with meta tensors."""
        with torch.device("meta"):
            if issubclass(self.kind, ModelMixin):
                return self.kind(**self.config).eval()
            return self.kind(self.kind.config_class(**self.config)).eval()


_UNET = {"block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2, "out_channels": 4}
_VAE = Network(
    AutoencoderKL,
    {
        "block_out_channels": (128, 256, 512, 512),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
        "latent_channels": 4,
        "sample_size": 768,
        "scaling_factor": 0.18215,
    },
)
MULTIVIEW = {
    "unet": Network(
        UNet2DConditionModel,
        {
            **_UNET,
            "in_channels": 4,
            "sample_size": 64,
            "attention_head_dim": (5, 10, 20, 20),
            "cross_attention_dim": 1024,
            "use_linear_projection": True,
        },
    ),
    "vae": _VAE,
    "vision_encoder": Network(
        CLIPVisionModelWithProjection,
        {
            "hidden_size": 1280,
            "intermediate_size": 5120,
            "num_hidden_layers": 32,
            "num_attention_heads": 16,
            "image_size": CLIP_SIZE,
            "patch_size": 14,
            "projection_dim": 1024,
            "hidden_act": "gelu",
        },
    ),
    "text_encoder": Network(
        CLIPTextModel,
        {
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 23,
            "num_attention_heads": 16,
            "max_position_embeddings": NUM_TOKENS,
            "vocab_size": NUM_WORDS,
            "bos_token_id": NUM_WORDS - 2,
            "eos_token_id": NUM_WORDS - 1,
            "pad_token_id": NUM_WORDS - 1,
            "hidden_act": "gelu",
        },
    ),
}
"""Networks of Zero123++ v1.1 by subfolder."""

GUIDANCE = {
    "unet": Network(
        UNet2DConditionModel,
        {**_UNET, "in_channels": 8, "sample_size": 32, "attention_head_dim": 8, "cross_attention_dim": 768},
    ),
    "vae": _VAE,
    "image_encoder": Network(
        CLIPVisionModelWithProjection,
        {
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "image_size": CLIP_SIZE,
            "patch_size": 14,
            "projection_dim": 768,
        },
    ),
    "clip_camera_projection": Network(CameraProjection, {"embedding_dim": 768}),
}
"""Networks of Zero123-XL by subfolder."""


def write_multiview(folder: Path, networks: Mapping[str, Network] = MULTIVIEW) -> None:
    """Write a folder in the layout of Zero123++ with random float16 weights; files that exist are kept."""
    text = networks["text_encoder"].config
    _write_networks(folder, networks)
    _write_scheduler(folder, "EulerAncestralDiscreteScheduler", "linear", prediction_type="v_prediction")
    _write_processor(folder / "feature_extractor_vae", IMAGE_SIZE, 0.5, 0.8)
    _write_processor(folder / "feature_extractor_clip", CLIP_SIZE, 0.45, 0.27)
    num_words, num_tokens = text["vocab_size"], text["max_position_embeddings"]
    words = [*(f"word{number}" for number in range(num_words - 2)), START, END]
    _write(folder / "tokenizer" / "vocab.json", {word: number for number, word in enumerate(words)})
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    special = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    _write(folder / "tokenizer" / "special_tokens_map.json", special)
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": num_tokens, **special}
    _write(folder / "tokenizer" / "tokenizer_config.json", settings)
    ramp = [token / (num_tokens - 1) for token in range(num_tokens)]
    _write(folder / "model_index.json", {"_class_name": "Zero123PlusPipeline", "ramping_coefficients": ramp})


def write_guidance(folder: Path, networks: Mapping[str, Network] = GUIDANCE) -> None:
    """Write a folder in the layout of Zero123-XL with random float16 weights; files that exist are kept."""
    _write_networks(folder, networks)
    _write_scheduler(folder, "DDIMScheduler", "scaled_linear")
    _write_processor(folder / "feature_extractor", CLIP_SIZE, 0.45, 0.27)
    projection = ["zero123", "CLIPCameraProjection"]
    index = {"_class_name": "Zero123Pipeline", "clip_camera_projection": projection}
    _write(folder / "model_index.json", index)


def _write_networks(folder: Path, networks: Mapping[str, Network]) -> None:
    """Write configurations and random float16 weights, one network after the other."""
    for name, (kind, config) in networks.items():
        is_diffusers = issubclass(kind, ModelMixin)
        network, place = Network(kind, config).on_meta(), folder / name
        save: Callable[[Path], Any] = network.save_config if is_diffusers else network.config.save_pretrained
        save(place)
        path = place / ("diffusion_pytorch_model.safetensors" if is_diffusers else "model.safetensors")
        if not path.exists():
            generator = torch.Generator().manual_seed(0)
            weights = {key: _random(key, value, generator) for key, value in network.state_dict().items()}
            save_file(weights, path.with_suffix(".unfinished"), metadata={"format": "pt"})
            path.with_suffix(".unfinished").rename(path)


def _random(name: str, value: Tensor, generator: torch.Generator) -> Tensor:
    """Return float16 values for a weight: noise that keeps the scale of inputs, 1 for norms, 0 for biases."""
    if not value.is_floating_point():
        return torch.arange(value.numel()).reshape(value.shape)  # positions
    if value.ndim < 2:
        return torch.full(value.shape, float(name.endswith("weight")), dtype=torch.float16)
    scale = 1 / math.sqrt(value[0].numel())
    return (torch.randn(value.shape, generator=generator) * scale).half()


def _write_scheduler(folder: Path, name: str, schedule: str, **settings: Any) -> None:
    """Write the noise schedule of Stable Diffusion, of which two spellings are published."""
    values = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": schedule, **settings}
    values |= {"_class_name": name, "num_train_timesteps": 1000}
    _write(folder / "scheduler" / "scheduler_config.json", values)


def _write_processor(folder: Path, size: int, mean: float, std: float) -> None:
    """Write the settings of an image processor."""
    values = {
        "crop_size": {"height": size, "width": size},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [mean] * 3,
        "image_std": [std] * 3,
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"shortest_edge": size},
    }
    _write(folder / "preprocessor_config.json", values)


def _write(path: Path, document: Any) -> None:
    """Write a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
