"""Latents of this package against the published pipelines', on a tiny random model, with the same noise.

    python3 tasks.py bench published_parity --zero123plus PIPELINE.py --stag4d PIPELINE.py

The files are ``diffusers-support/pipeline.py`` of SUDO-AI-3D/zero123plus and
``guidance/zero123pp/pipeline.py`` of zeng-yifei/STAG4D; either may be left out. They run unchanged, except
for three things: torchvision, of which they use nothing here, is replaced by an empty module; the device of
the second becomes the CPU; and its number of grid tokens, a formula for 640 x 960 pixels, becomes the tiny
model's.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import transformers
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.autoencoders import vae as vae_module
from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion
from diffusers.schedulers import scheduling_euler_ancestral_discrete
from PIL import Image
from torch import Tensor

from stag4d.diffusion import (
    Anchor,
    MultiViewModel,
    SamplingConfig,
    denoise,
    load_multiview_model,
)
from tiny_models import make_multiview_folder

from ._recording import recorded

SIDE, NUM_FRAMES, NUM_STEPS = 40, 4, 5


class RecordedNoise:
    """The noise that a pipeline sampled for each frame, in its order; a ``NoiseSource``."""

    def __init__(self) -> None:
        self.frames: list[dict[str, list[Tensor]]] = []

    def posterior(self, frame: int, branch: int, shape: tuple[int, ...]) -> Tensor:
        """See ``NoiseSource``; the published code encodes the frame first and the blank image after it."""
        return self.frames[frame]["posterior"][1 - branch][0]

    def initial(self, frame: int, shape: tuple[int, ...]) -> Tensor:
        """See ``NoiseSource``."""
        return self.frames[frame]["initial"][0][0]

    def ancestral(self, frame: int, step: int, shape: tuple[int, ...]) -> Tensor:
        """See ``NoiseSource``."""
        return self.frames[frame]["ancestral"][step][0]

    def reference(self, frame: int, step: int, branch: int, shape: tuple[int, ...]) -> Tensor:
        """See ``NoiseSource``; the published code samples for both branches at once."""
        return self.frames[frame]["reference"][step][branch]

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Record the noise that is sampled in the block as the next frame's."""
        places = {
            "posterior": (vae_module, "randn_tensor"),
            "initial": (pipeline_stable_diffusion, "randn_tensor"),
            "ancestral": (scheduling_euler_ancestral_discrete, "randn_tensor"),
            "reference": (torch, "randn_like"),
        }
        with recorded(places) as samples:
            self.frames.append(samples)
            yield


def main() -> None:
    """Print the largest differences."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--zero123plus", type=Path, help="the published pipeline's file")
    parser.add_argument("--stag4d", type=Path, help="the official anchored pipeline's file")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    for name, path, is_anchored in (
        ("zero123plus", options.zero123plus, False),
        ("stag4d", options.stag4d, True),
    ):
        if path is None:
            continue
        worst, scale, without = 0.0, 0.0, 0.0
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory() as folder:
                root = make_multiview_folder(Path(folder), seed=seed)
                model = load_multiview_model(root)
                frames = np.random.default_rng(seed).integers(0, 256, (NUM_FRAMES, SIDE, SIDE, 4), np.uint8)
                pipeline = _published(path, root, model, is_anchored)
                published, noise = _run(pipeline, frames, model, is_anchored, seed)
                ours = _ours(model, frames, noise, Anchor() if is_anchored else None)
                worst = max(worst, (ours - published).abs().max().item())
                scale = max(scale, published.abs().max().item())
                if is_anchored:
                    independent = _ours(model, frames, noise, None)
                    without = max(without, (independent - published).abs().max().item())
        print(
            f"{name}: {options.seeds} seeds, {NUM_FRAMES} frames, {NUM_STEPS} steps: largest difference "
            f"{worst:.1e}, latents up to {scale:.1f}"
            + (f"; without the anchor it would be {without:.1e}" if without else "")
        )


def _published(path: Path, root: Path, model: MultiViewModel, is_anchored: bool) -> Any:
    """Return the pipeline of a file, with the networks of a folder."""
    source = path.read_text(encoding="utf-8")
    if is_anchored:
        rows, columns = model.grid_size
        width = model.unet.config.block_out_channels[0]
        for old, new in (("cuda", "cpu"), ("9600", str(rows * columns)), ("//320", f"//{width}")):
            source = source.replace(old, new)
    transforms = types.ModuleType("transforms")
    for name in ("Compose", "ToTensor", "Normalize"):
        setattr(transforms, name, lambda *arguments: None)
    torchvision: Any = types.ModuleType("torchvision")
    torchvision.transforms = transforms
    module = types.ModuleType("published_pipeline")
    with patch.dict(sys.modules, {"torchvision": torchvision, module.__name__: module}):
        exec(compile(source, str(path), "exec"), module.__dict__)
        index = json.loads((root / "model_index.json").read_text(encoding="utf-8"))
        vae_processor, vision_processor = model.processors
        pipeline = module.Zero123PlusPipeline(
            vae=AutoencoderKL.from_pretrained(root / "vae"),
            unet=UNet2DConditionModel.from_pretrained(root / "unet"),
            text_encoder=transformers.CLIPTextModel.from_pretrained(root / "text_encoder"),
            tokenizer=transformers.CLIPTokenizer.from_pretrained(root / "tokenizer"),
            vision_encoder=transformers.CLIPVisionModelWithProjection.from_pretrained(
                root / "vision_encoder"
            ),
            scheduler=type(model.scheduler).from_config(model.scheduler.config),
            feature_extractor_vae=vae_processor,
            feature_extractor_clip=vision_processor,
            ramping_coefficients=index["ramping_coefficients"],
        )
    if is_anchored:  # it calls a method that diffusers has renamed
        pipeline._encode_prompt = lambda *arguments: pipeline.encode_prompt(*arguments)[0]
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _run(
    pipeline: Any, frames: np.ndarray, model: MultiViewModel, is_anchored: bool, seed: int
) -> tuple[Tensor, RecordedNoise]:
    """Return the pipeline's latents [F, C, h, w] before its unscaling is undone, and its noise."""
    noise, latents = RecordedNoise(), []
    torch.manual_seed(seed)
    for index, frame in enumerate(frames):
        options = {"is_first": index == 0} if is_anchored else {}
        height, width = (model.grid.num_rows * model.grid.tile_size, 2 * model.grid.tile_size)
        with noise.frame():
            result = pipeline(
                Image.fromarray(frame, "RGBA"),
                num_inference_steps=NUM_STEPS,
                height=height,
                width=width,
                output_type="latent",
                **options,
            )
        latents.append(result.images[0])
    return torch.stack(latents), noise


def _ours(model: MultiViewModel, frames: np.ndarray, noise: RecordedNoise, anchor: Anchor | None) -> Tensor:
    """Return our latents, unscaled as the published pipelines return theirs."""
    pixels = torch.from_numpy(frames).float() / 255
    conditioning = model.encode_conditioning(pixels[..., :3], pixels[..., 3], noise)
    config = SamplingConfig(num_steps=NUM_STEPS, anchor=anchor)
    steps = denoise(model.unet, model.scheduler, conditioning, noise, config, grid_size=model.grid_size)
    return model.grid.unscaled(list(steps)[-1].latents)


if __name__ == "__main__":
    main()
