"""Tiny model folders in the published layouts, with random weights, for tests and benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerAncestralDiscreteScheduler,
    ModelMixin,
    UNet2DConditionModel,
)
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from stag4d.diffusion import CameraProjection

NUM_TOKENS, WIDTH = 7, 8
_SMALLEST_LAYOUT: dict[str, Any] = {
    "layers_per_block": 1,
    "block_out_channels": (8, 16),
    "norm_num_groups": 4,
    "attention_head_dim": (2, 4),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}
_PUBLISHED_LAYOUT: dict[str, Any] = {  # a tenth of the channels
    "layers_per_block": 2,
    "block_out_channels": (32, 64, 128, 128),
    "attention_head_dim": (1, 2, 4, 4),
    "down_block_types": (*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
    "up_block_types": ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
}
TILE = 16  # pixels; the VAE halves the size once, so a grid's latent is 24 high and 16 wide


def make_multiview_folder(
    folder: Path,
    *,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    half: bool = False,
    safe: bool = True,
    native: bool = False,
) -> Path:
    """Write a multi-view model in the folder layout of Zero123++.

    Args:
        folder: Output folder.
        seed: Seed of the weights.
        settings: Value of ``stag4d`` in the index; by default tiles of ``TILE`` pixels.
        half: Whether to store float16 in files of the fp16 variant.
        safe: Whether to write ``.safetensors`` files instead of ``.bin``.
        native: Whether the UNet has the published layout, which ComfyUI's own UNet can represent.

    Returns:
        The folder.
    """
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        cross_attention_dim=WIDTH,
        use_linear_projection=True,
        **(_PUBLISHED_LAYOUT if native else _SMALLEST_LAYOUT),
    )
    vae = _vae()
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=4,
            hidden_size=WIDTH,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=NUM_TOKENS,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )
    vision = _vision()
    modules = {"unet": unet, "vae": vae, "text_encoder": text, "vision_encoder": vision}
    _save_modules(folder, modules, half, safe)
    EulerAncestralDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="linear",
        prediction_type="v_prediction",
    ).save_pretrained(folder / "scheduler")
    _write(folder / "feature_extractor_clip" / "preprocessor_config.json", _preparation(28, 0.45, 0.27))
    _write(folder / "feature_extractor_vae" / "preprocessor_config.json", _preparation(24, 0.5, 0.8))
    _write_tokenizer(folder / "tokenizer")
    index = {
        "_class_name": "Zero123PlusPipeline",
        "_diffusers_version": "0.17.1",
        "ramping_coefficients": [round(0.1 * token, 1) for token in range(NUM_TOKENS)],
        "stag4d": {"tile_size": TILE} if settings is None else settings,
    }
    _write(folder / "model_index.json", index)
    return folder


def make_guidance_folder(folder: Path, *, seed: int = 0, half: bool = False, safe: bool = True) -> Path:
    """Write a guidance model in the folder layout of Zero123-XL, for images of 16 x 16 and latents of 8 x 8.

    Args:
        folder: Output folder.
        seed: Seed of the weights.
        half: Whether to store float16 in files of the fp16 variant.
        safe: Whether to write ``.safetensors`` files instead of ``.bin``.

    Returns:
        The folder.
    """
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=8,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    modules = {
        "unet": unet,
        "vae": _vae(),
        "clip_camera_projection": CameraProjection(WIDTH),
        "image_encoder": _vision(),
    }
    _save_modules(folder, modules, half, safe)
    DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").save_pretrained(
        folder / "scheduler"
    )
    _write(folder / "feature_extractor" / "preprocessor_config.json", _preparation(28, 0.45, 0.27))
    _write(
        folder / "model_index.json",
        {"_class_name": "Zero123Pipeline", "clip_camera_projection": ["zero123", "CLIPCameraProjection"]},
    )
    return folder


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        latent_channels=4,
        norm_num_groups=4,
        scaling_factor=0.18215,
    )


def make_clip_folder(folder: Path) -> Path:
    """Write a whole CLIP model, image and text encoder, in the folder layout of transformers."""
    torch.manual_seed(0)
    text = CLIPTextConfig(
        vocab_size=8, hidden_size=WIDTH, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    config = CLIPConfig(
        text_config=text.to_dict(), vision_config=_vision().config.to_dict(), projection_dim=WIDTH
    )
    CLIPModel(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(_preparation(28, 0.5, 0.25)))
    return folder


def _vision() -> CLIPVisionModelWithProjection:
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=WIDTH,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=28,
            patch_size=14,
            projection_dim=WIDTH,
        )
    )


def _save_modules(folder: Path, modules: dict[str, Any], half: bool, safe: bool) -> None:
    variant = "fp16" if half else None
    for name, module in modules.items():
        stored = module.half() if half else module
        if safe or isinstance(module, ModelMixin):
            stored.save_pretrained(folder / name, safe_serialization=safe, variant=variant)
        else:  # transformers writes safetensors only
            stored.config.save_pretrained(folder / name)
            file = "pytorch_model.fp16.bin" if half else "pytorch_model.bin"
            torch.save(stored.state_dict(), folder / name / file)


def _preparation(size: int, mean: float, std: float) -> dict[str, Any]:
    return {
        "crop_size": {"height": size, "width": size},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": [mean] * 3,
        "image_processor_type": "CLIPImageProcessor",
        "image_std": [std] * 3,
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"shortest_edge": size},
    }


def _write_tokenizer(folder: Path) -> None:
    start, end = "<|startoftext|>", "<|endoftext|>"
    _write(folder / "vocab.json", {start: 0, end: 1, "a": 2, "a</w>": 3})
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    special = {"bos_token": start, "eos_token": end, "pad_token": end, "unk_token": end}
    _write(folder / "special_tokens_map.json", special)
    _write(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "CLIPTokenizer", "model_max_length": NUM_TOKENS, **special},
    )


def _write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
