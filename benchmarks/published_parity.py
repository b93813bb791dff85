"""Do our multi-view latents equal the published pipelines', for the same weights and random numbers?

    python3 tasks.py bench published_parity --zero123plus PIPELINE.py --stag4d PIPELINE.py

The files are ``diffusers-support/pipeline.py`` of SUDO-AI-3D/zero123plus and
``guidance/zero123pp/pipeline.py`` of zeng-yifei/STAG4D; either may be omitted. They run unchanged on tiny
random models, with three exceptions: torchvision, of which they use nothing here, is an empty module; the
second one's device is the CPU; and its number of grid tokens, a formula for 640 x 960 pixels, is that of the
tiny model. Prints the largest difference of the latents for each pipeline.
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
    """Noise that replays the random tensors of a pipeline, recorded frame by frame."""

    def __init__(self) -> None:
        self.frames: list[dict[str, list[Tensor]]] = []

    def posterior(self, frame: int, half: int, shape: tuple[int, ...]) -> Tensor:
        """Return the noise of a VAE posterior; the published code encodes the frame first, then the blank."""
        return self.frames[frame]["posterior"][1 - half][0]

    def initial(self, frame: int, shape: tuple[int, ...]) -> Tensor:
        """Return the initial latents of a frame."""
        return self.frames[frame]["initial"][0][0]

    def ancestral(self, frame: int, step: int, shape: tuple[int, ...]) -> Tensor:
        """Return the noise of an ancestral step."""
        return self.frames[frame]["ancestral"][step][0]

    def reference(self, frame: int, step: int, half: int, shape: tuple[int, ...]) -> Tensor:
        """Return the noise of a reference; the published code samples both branches at once."""
        return self.frames[frame]["reference"][step][half]

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Record the random tensors of the next frame inside of the context."""
        places = {
            "posterior": (vae_module, "randn_tensor"),
            "initial": (pipeline_stable_diffusion, "randn_tensor"),
            "ancestral": (scheduling_euler_ancestral_discrete, "randn_tensor"),
            "reference": (torch, "randn_like"),
        }
        with recorded(places) as tensors:
            self.frames.append(tensors)
            yield


def main() -> None:
    """Print the largest difference of the latents for each pipeline."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--zero123plus", type=Path, help="file of the published pipeline")
    parser.add_argument("--stag4d", type=Path, help="file of the official anchored pipeline")
    parser.add_argument("--seeds", type=int, default=3, help="number of models (default: %(default)s)")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    for name, path, is_anchored in (
        ("zero123plus", options.zero123plus, False),
        ("stag4d", options.stag4d, True),
    ):
        if path is None:
            continue
        largest, scale, unanchored = 0.0, 0.0, 0.0
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory() as folder:
                root = make_multiview_folder(Path(folder), seed=seed)
                model = load_multiview_model(root)
                images = np.random.default_rng(seed).integers(0, 256, (NUM_FRAMES, SIDE, SIDE, 4), np.uint8)
                pipeline = _published(path, root, model, is_anchored)
                published, noise = _run(pipeline, images, model, is_anchored, seed)
                ours = _ours(model, images, noise, Anchor() if is_anchored else None)
                largest = max(largest, (ours - published).abs().max().item())
                scale = max(scale, published.abs().max().item())
                if is_anchored:
                    without = _ours(model, images, noise, None)
                    unanchored = max(unanchored, (without - published).abs().max().item())
        print(
            f"{name}: {options.seeds} seeds, {NUM_FRAMES} frames, {NUM_STEPS} steps: largest difference "
            f"{largest:.1e}, latents up to {scale:.1f}"
            + (f"; without the anchor it would be {unanchored:.1e}" if unanchored else "")
        )


def _published(path: Path, root: Path, model: MultiViewModel, is_anchored: bool) -> Any:
    """Return the pipeline of a file with the networks of a model folder."""
    source = path.read_text(encoding="utf-8")
    if is_anchored:
        rows, columns = model.grid_size
        width = model.unet.config.block_out_channels[0]
        for old, new in (("cuda", "cpu"), ("9600", str(rows * columns)), ("//320", f"//{width}")):
            source = source.replace(old, new)
    transforms = types.ModuleType("transforms")
    for name in ("Compose", "ToTensor", "Normalize"):
        setattr(transforms, name, lambda *arguments: None)
    torchvision = types.ModuleType("torchvision")
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
    if is_anchored:  # it calls a method by its former name in diffusers
        pipeline._encode_prompt = lambda *arguments: pipeline.encode_prompt(*arguments)[0]
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _run(
    pipeline: Any, images: np.ndarray, model: MultiViewModel, is_anchored: bool, seed: int
) -> tuple[Tensor, RecordedNoise]:
    """Return the pipeline's unscaled latents [F, C, h, w], and its random tensors."""
    noise, latents = RecordedNoise(), []
    torch.manual_seed(seed)
    for frame, image in enumerate(images):
        options = {"is_first": frame == 0} if is_anchored else {}
        height, width = (model.grid.num_rows * model.grid.tile_size, 2 * model.grid.tile_size)
        with noise.frame():
            result = pipeline(
                Image.fromarray(image, "RGBA"),
                num_inference_steps=NUM_STEPS,
                height=height,
                width=width,
                output_type="latent",
                **options,
            )
        latents.append(result.images[0])
    return torch.stack(latents), noise


def _ours(model: MultiViewModel, images: np.ndarray, noise: RecordedNoise, anchor: Anchor | None) -> Tensor:
    """Return our latents, unscaled as the published pipelines return theirs."""
    pixels = torch.from_numpy(images).float() / 255
    conditions = model.condition_on(pixels[..., :3], pixels[..., 3], noise)
    config = SamplingConfig(num_steps=NUM_STEPS, anchor=anchor)
    latents = denoise(model.unet, model.scheduler, conditions, noise, config, grid_size=model.grid_size)
    return model.grid.unscaled(latents)


if __name__ == "__main__":
    main()
