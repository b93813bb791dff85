"""Memory of the diffusion models at their published sizes and of the fit, from the sizes of tensors.

    python3 tasks.py bench memory

Counted are weights, inputs, and all tensors that live at the same time; of the networks as meta tensors
without values, in float16 and with a fused attention kernel, and of the fit in some steps on the CPU. Not
counted are what a rasterizer allocates beside its results, the CUDA context, the workspace of cuDNN and the
allocator's rounding.
"""

from __future__ import annotations

import argparse
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from stag4d import optimization
from stag4d.diffusion import Anchor, ReadTokens, WriteTokens, install_reference_attention
from stag4d.optimization import PresetName, Trainer, preset
from stag4d.progress import Interrupted
from stag4d.toys import toy_seed, toy_views

from ._published_layouts import GRID_SIZE, GUIDANCE, IMAGE_SIZE, MULTIVIEW, NUM_TOKENS, Network

DTYPE = torch.float16
GIB = 2**30
TEXT_ENCODER = "text_encoder"  # released when a model is loaded
PRESETS: tuple[PresetName, ...] = ("fast", "quality")
NUM_FRAMES, NUM_VIEWS = 32, 6  # of the fit
MEASURED_FRAMES, MEASURED_STEPS = 4, 2  # a step has at most four frames


class PeakBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that are made within its ``with`` block and alive.

    Attributes:
        peak: The largest number of bytes so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak, self._alive = 0, 0
        self._counted: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run an operation and count the memory of its results."""
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self._count(value.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        """Count a storage, unless it is that of a tensor that was counted, or of one from outside."""
        if storage in self._counted:
            return
        self._counted.add(storage)
        size = storage.nbytes()
        self._alive += size
        self.peak = max(self.peak, self._alive)
        weakref.finalize(storage, self._release, size)

    def _release(self, size: int) -> None:
        self._alive -= size

    def ignore(self, *networks: torch.nn.Module) -> None:
        """Leave the weights of networks out."""
        for network in networks:
            for weight in (*network.parameters(), *network.buffers()):
                self._counted.add(weight.untyped_storage())


def weight_bytes(networks: dict[str, Network]) -> int:
    """Return the bytes of the weights that a loaded model keeps."""
    kept = (network.on_meta() for name, network in networks.items() if name != TEXT_ENCODER)
    return sum(weight.numel() for network in kept for weight in network.parameters()) * DTYPE.itemsize


def denoising_bytes(num_frames: int) -> int:
    """Return the activations of a batch of a diffusion step: reference pass, then anchored pass."""
    unet = _half(MULTIVIEW["unet"])
    install_reference_attention(unet)
    rows = 2 * num_frames  # both branches of guidance
    side = IMAGE_SIZE // 8
    with PeakBytes() as memory, _fused_attention(), torch.device("meta"):
        memory.ignore(unet)
        write = WriteTokens()
        read = ReadTokens(write.tokens, range(num_frames), Anchor())
        embeddings = torch.empty(rows, NUM_TOKENS, 1024, dtype=DTYPE)
        for size, exchange in (((side, side), write), (GRID_SIZE, read)):
            latents = torch.empty(rows, 4, *size, dtype=DTYPE)
            unet(latents, 0, embeddings, cross_attention_kwargs={"exchange": exchange})
    return memory.peak


def encoding_bytes() -> int:
    """Return the activations of encoding a frame of the video by the VAE."""
    vae = _half(MULTIVIEW["vae"])
    with PeakBytes() as memory, _fused_attention(), torch.device("meta"), torch.no_grad():
        memory.ignore(vae)
        vae.encode(torch.empty(1, 3, IMAGE_SIZE, IMAGE_SIZE, dtype=DTYPE))
    return memory.peak


def decoding_bytes() -> int:
    """Return the activations of decoding the grid of a frame by the VAE."""
    vae = _half(MULTIVIEW["vae"])
    with PeakBytes() as memory, _fused_attention(), torch.device("meta"), torch.no_grad():
        memory.ignore(vae)
        vae.decode(torch.empty(1, 4, *GRID_SIZE, dtype=DTYPE))
    return memory.peak


def distillation_bytes(num_renders: int) -> int:
    """Return the activations of the SDS loss of renders: VAE encoder with gradients, and UNet without."""
    vae, unet = (_half(GUIDANCE[name]) for name in ("vae", "unet"))
    with PeakBytes() as memory, _fused_attention(), torch.device("meta"):
        memory.ignore(vae, unet)
        pixels = torch.empty(num_renders, 3, 256, 256, dtype=DTYPE, requires_grad=True)
        latents = vae.encode(pixels).latent_dist.mean
        rows = 2 * num_renders
        with torch.no_grad():
            unet(torch.empty(rows, 8, 32, 32, dtype=DTYPE), 0, torch.empty(rows, 1, 768, dtype=DTYPE))
        torch.autograd.grad(latents, pixels, torch.empty_like(latents))
    return memory.peak


def fit_bytes(name: PresetName) -> int:
    """Return the images of a fit, and the tensors of some of its steps with parameters and optimizer.

    All frames of a step are computed together, with SSIM of whole images, as on a GPU.
    """
    config = preset(name)
    views = toy_views(toy_seed("val", 0), MEASURED_FRAMES, config.size)
    first = config.steps // 2  # the scene moves

    def stop(stage: str, done: int, *_: object, **__: object) -> None:
        if done >= first + MEASURED_STEPS:
            raise Interrupted

    torch.set_num_threads(1)  # tensors of other threads are not counted
    trainer = Trainer(views, config)
    trainer.step = first
    with (
        patch.object(optimization.trainer, "split_frames", lambda frames, *_: [frames]),
        patch.object(optimization.structural_similarity, "_span", lambda differs: slice(len(differs))),
        PeakBytes() as memory,
        suppress(Interrupted),
    ):
        trainer.run(stop)
    return memory.peak + NUM_FRAMES * (1 + NUM_VIEWS) * config.size**2 * 4  # RGBA, one byte each


def _half(network: Network) -> Any:
    """Return a frozen network with meta tensors in half precision."""
    return torch.nn.Module.to(network.on_meta(), DTYPE).requires_grad_(False)


def _fused_attention() -> Any:
    """Replace attention, which has no fused kernel for meta tensors, by the memory that a fused one takes."""

    def attend(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Tensor:
        return query * 1

    return patch.object(torch.nn.functional, "scaled_dot_product_attention", attend)


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    rows = [("multi-view model, weights", weight_bytes(MULTIVIEW))]
    with torch.no_grad():
        rows += [(f"denoising, {count} frames per call", denoising_bytes(count)) for count in (1, 2, 4, 8)]
    rows += [("VAE, encoding a frame", encoding_bytes()), ("VAE, decoding a grid", decoding_bytes())]
    rows += [("guidance model, weights", weight_bytes(GUIDANCE))]
    rows += [(f"SDS, {count} renders per step", distillation_bytes(count)) for count in (1, 2, 4)]
    rows += [(f"fit, preset {name}, {preset(name).size} pixels", fit_bytes(name)) for name in PRESETS]
    for name, size in rows:
        print(f"{name:<32} {size / GIB:6.2f} GiB")
    per_pixel = denoising_bytes_per_pixel(rows)
    print(f"each further frame of a call: {per_pixel / 1000:.1f} kB per latent pixel")


def denoising_bytes_per_pixel(rows: list[tuple[str, int]]) -> float:
    """Return the bytes that each further frame of a call adds, per pixel of its latent."""
    one, *_, eight = (size for name, size in rows if name.startswith("denoising"))
    return (eight - one) / (7 * GRID_SIZE[0] * GRID_SIZE[1])


if __name__ == "__main__":
    main()
