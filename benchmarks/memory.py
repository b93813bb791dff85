"""How much memory does each stage need on a GPU? Computed from the sizes of tensors, without a GPU.

    python3 tasks.py bench memory

The networks have the published sizes and no weights: torch propagates shapes only, and the sizes of all
tensors that exist at the same time are added up. Of a fit two steps are executed on the CPU, and the sizes of
their tensors are added up in the same way. What torch's allocator, the CUDA context and cuDNN take comes on
top, so these are lower bounds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from benchmarks.guidance import CONFIGS as GUIDANCE
from benchmarks.multiview import CONFIGS as MULTIVIEW
from stag4d.diffusion import Anchor, install_reference_attention
from stag4d.diffusion.attention import ReadTokens, WriteTokens
from stag4d.optimization import Trainer, preset
from stag4d.progress import Interrupted
from stag4d.toys import toy_seed, toy_views

BATCH = 4  # renders of a step of score distillation
NUM_FRAMES, NUM_VIEWS = 32, 6  # of the fit
MEASURED_FRAMES, MEASURED_STEPS = 4, 2
CLIP = {  # hidden size, layers, heads, intermediate size, projection
    "ViT-H/14": (1280, 32, 16, 5120, 1024),
    "ViT-L/14": (1024, 24, 16, 4096, 768),
}


class Allocations(TorchDispatchMode):
    """Adds up the bytes of all tensors that operations make, as long as they exist.

    Attributes:
        peak: Largest sum so far, bytes.
    """

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        weights = [*(tensor for module in modules for tensor in module.parameters())]
        self._weights = {tensor.untyped_storage()._cdata for tensor in weights}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and note the memory of its results."""
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                key = storage._cdata
                if key not in self._weights:
                    self._alive[key] = (StorageWeakRef(storage), storage.nbytes())
        self._alive = {key: entry for key, entry in self._alive.items() if not entry[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return result


def main() -> None:
    """Print a row per stage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    with FakeTensorMode():
        for row in (*multiview_rows(), guidance_row()):
            sys.stdout.write(row)
    for name in ("fast", "quality"):
        sys.stdout.write(fit_row(name))


def multiview_rows() -> list[str]:
    """Return weights and tensors of the multi-view model: its UNet, by frames per call, and its decoder."""
    config, grid, reference, num_tokens = MULTIVIEW["full"]
    with float16_weights():
        unet = UNet2DConditionModel(sample_size=64, use_linear_projection=True, **config)
        vae, vision = autoencoder(GUIDANCE["full"][-1]), vision_encoder("ViT-H/14")
    install_reference_attention(unet)
    width = config["cross_attention_dim"]

    def denoise(num_frames: int) -> None:
        """Call the UNet for the references and the view grids of some frames, with and without condition."""
        count, write = 2 * num_frames, WriteTokens()
        tokens = half(count, num_tokens, width)
        unet(half(count, 4, *reference), 500, tokens, cross_attention_kwargs={"exchange": write})
        read = ReadTokens(write.tokens, range(num_frames), Anchor(), {}, {})
        unet(half(count, 4, *grid), 500, tokens, cross_attention_kwargs={"exchange": read})

    size = num_bytes(unet, vae, vision)
    rows = [f"multi-view, weights: {gigabytes(size)}\n"]
    for num_frames in (1, 4):
        peak = peak_without_gradients(unet, lambda count=num_frames: denoise(count))  # type: ignore[misc]
        frames = "1 frame" if num_frames == 1 else f"{num_frames} frames"
        rows.append(f"multi-view, {frames} per call: weights + {gigabytes(peak)}\n")
    peak = peak_without_gradients(vae, lambda: vae.decode(half(1, 4, *grid)))
    rows.append(f"multi-view, decoding a frame: weights + {gigabytes(peak)}\n")
    return rows


def guidance_row() -> str:
    """Return weights and tensors of the guidance model in a step of score distillation."""
    channels, heads, width, side, vae_channels = GUIDANCE["full"]
    levels = len(channels)
    with float16_weights():
        unet = UNet2DConditionModel(
            sample_size=side,
            in_channels=8,
            block_out_channels=channels,
            attention_head_dim=heads,
            cross_attention_dim=width,
            down_block_types=("CrossAttnDownBlock2D",) * (levels - 1) + ("DownBlock2D",),
            up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (levels - 1),
        )
        vae, vision = autoencoder(vae_channels), vision_encoder("ViT-L/14")
    for module in (unet, vae):
        module.requires_grad_(False)
    with Allocations(unet, vae) as allocations:
        images = half(BATCH, 3, 8 * side, 8 * side).requires_grad_()
        latents = vae.encode(images).latent_dist.mean
        with torch.no_grad():
            unet(half(2 * BATCH, 8, side, side), 500, half(2 * BATCH, 1, width))
        torch.autograd.grad(latents, images, torch.ones_like(latents))
    size = num_bytes(unet, vae, vision)
    return f"guidance, {BATCH} renders: weights {gigabytes(size)} + {gigabytes(allocations.peak)}\n"


def fit_row(name: str) -> str:
    """Return the memory of a fit: the images, and the tensors of its first steps with the parameters."""
    config = preset(name)  # type: ignore[arg-type]
    views = toy_views(toy_seed("val", 0), MEASURED_FRAMES, config.size)
    trainer = Trainer(views, config)

    def stop(stage: str, done: int, *_: object, **__: object) -> None:
        if done >= MEASURED_STEPS:
            raise Interrupted

    torch.set_num_threads(1)  # the tensors of other threads are not seen
    with Allocations() as allocations, suppress(Interrupted):
        trainer.run(stop)
    images = NUM_FRAMES * (1 + NUM_VIEWS) * config.size**2 * 4  # RGBA, one byte each
    count, pixels = len(trainer.scene.gaussians), config.size
    return (
        f"fit, preset {name}, {NUM_FRAMES} frames of {pixels} pixels: images {gigabytes(images)} "
        f"+ a step with {count} Gaussians {gigabytes(allocations.peak)}\n"
    )


def autoencoder(channels: tuple[int, ...]) -> AutoencoderKL:
    """Return an autoencoder between images and latents; both models have that of Stable Diffusion."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=2,
    )


def vision_encoder(name: str) -> nn.Module:
    """Return a CLIP image encoder."""
    hidden, layers, heads, intermediate, projection = CLIP[name]
    config = CLIPVisionConfig(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=intermediate,
        projection_dim=projection,
        patch_size=14,
    )
    return CLIPVisionModelWithProjection(config)


@contextmanager
def float16_weights() -> Iterator[None]:
    """Make networks in float16; tensors without values cannot be converted afterwards."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float16)
    try:
        yield
    finally:
        torch.set_default_dtype(default)


@torch.no_grad()
def peak_without_gradients(module: nn.Module, function: Callable[[], object]) -> int:
    """Return the most bytes of tensors, other than a module's weights, that a function has at once."""
    with Allocations(module) as allocations:
        function()
    return allocations.peak


def half(*shape: int) -> Tensor:
    """Return a tensor in float16."""
    return torch.empty(shape, dtype=torch.float16)


def num_bytes(*modules: nn.Module) -> int:
    """Return the bytes of all weights."""
    return sum(tensor.numel() * tensor.element_size() for module in modules for tensor in module.parameters())


def gigabytes(count: float) -> str:
    """Return a number of bytes as GB."""
    return f"{count / 1e9:.2f} GB"


if __name__ == "__main__":
    main()
