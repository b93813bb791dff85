"""Time of a step of score distillation by part, and of one UNet call per batch against one per render.

    python3 tasks.py bench guidance                   a small model, on the CPU
    python3 tasks.py bench guidance --config full     Zero123's sizes; on a GPU if there is one

Weights are random, so nothing is downloaded. Medians of interleaved runs; the official code calls the UNet
once for every render.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections import defaultdict
from types import SimpleNamespace

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from stag4d.diffusion import CameraProjection, PoseConditionedDenoiser, Zero123Model
from stag4d.geometry import OrbitPose
from stag4d.optimization import GuidanceConfig, Trainer, preset
from stag4d.rendering import render
from stag4d.scene import GaussianModel4D
from stag4d.toys import toy_seed, toy_views
from stag4d.types import Cameras

BATCH = 4  # official
SIZE = 128  # of renders, pixels
CONFIGS = {  # channels of the UNet, heads, width of the token, side of the latent, channels of the VAE
    "small": ((32, 64), 2, 64, 16, (32, 32, 64)),
    "full": ((320, 640, 1280, 1280), 8, 768, 32, (128, 256, 512, 512)),
}


def main() -> None:
    """Print the parts of a step and the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", choices=tuple(CONFIGS), default="small")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    views = toy_views(toy_seed("val", 0), BATCH, SIZE)
    prior = PoseConditionedDenoiser(
        _model(options.config).to(device, dtype), views, torch.Generator().manual_seed(0)
    )
    trainer = Trainer(views, preset("fast", size=SIZE), device=device)
    seconds: dict[str, list[float]] = defaultdict(list)
    for repeat in range(options.repeats + 1):
        for name, value in _step(prior, trainer).items():
            if repeat:  # the first warms up
                seconds[name].append(value)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, value in medians.items():
        print(f"{name:<22} {1000 * value:9.1f} ms")
    ratio = medians["UNet, call per render"] / medians["UNet, one call"]
    print(f"{BATCH} calls take {ratio:.2f} times as long as one with a batch of {BATCH}, {dtype} on {device}")
    if device.type == "cuda":
        print(f"peak memory {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB")
    else:
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def _step(prior: PoseConditionedDenoiser, trainer: Trainer) -> dict[str, float]:
    """Return the seconds of each part of one step."""
    clock = _Clock(trainer.device)
    generator = torch.Generator().manual_seed(0)
    frames = list(range(BATCH))
    poses = [OrbitPose(azimuth_deg=90.0 * index) for index in frames]
    cameras = Cameras.from_poses(poses, SIZE, SIZE).to(trainer.device)
    model = GaussianModel4D(trainer.scene.gaussians, trainer.scene.deformation, trainer.info)
    posed = model.at(model.frame_times)
    images = torch.cat([render(posed[index], cameras[[index]]).images for index in frames])
    clock.lap("render")
    pixels = images.detach().requires_grad_()
    noise = torch.randn(BATCH, *prior.latent_shape, generator=generator)
    latents = prior.encode(pixels, noise)
    clock.lap("encode")
    noisy, timesteps = latents.detach() + noise.to(latents), torch.full((BATCH,), 300)
    conditions, scale = [(frame, 0) for frame in frames], GuidanceConfig().guidance_scale
    predicted = prior.predict(noisy, timesteps, conditions, poses, scale)
    clock.lap("UNet, one call")
    for index in frames:
        one = slice(index, index + 1)
        prior.predict(noisy[one], timesteps[one], conditions[one], poses[one], scale)
    clock.lap("UNet, call per render")
    (pixel_gradient,) = torch.autograd.grad(latents, pixels, predicted)
    clock.lap("backward, encoder")
    images.backward(pixel_gradient)
    clock.lap("backward, render")
    trainer.scene.optimizer.step()
    trainer.scene.optimizer.zero_grad()
    clock.lap("optimizer")
    return clock.laps


class _Clock:
    """Measures the seconds between calls, after waiting for the device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Record the time since the last call."""
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now


class _FlatEncoder(torch.nn.Module):
    """Replaces the image encoder, which runs once per video and is not measured."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, pixels: torch.Tensor) -> object:
        """Return constant embeddings."""
        return SimpleNamespace(image_embeds=pixels.new_ones(len(pixels), self.width))


def _model(name: str) -> Zero123Model:
    """Return a Zero123 model with random weights."""
    torch.manual_seed(0)
    channels, heads, width, side, vae_channels = CONFIGS[name]
    levels = len(channels)
    unet = UNet2DConditionModel(
        sample_size=side,
        in_channels=8,
        block_out_channels=channels,
        attention_head_dim=heads,
        cross_attention_dim=width,
        down_block_types=("CrossAttnDownBlock2D",) * (levels - 1) + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (levels - 1),
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(vae_channels),
        up_block_types=("UpDecoderBlock2D",) * len(vae_channels),
        block_out_channels=vae_channels,
        layers_per_block=2,
    )
    model = Zero123Model(
        unet=unet,
        vae=vae,
        image_encoder=_FlatEncoder(width),
        camera_projection=CameraProjection(width),
        alphas_cumprod=torch.linspace(0.999, 0.01, 1000),
        prediction_type="epsilon",
        processor=lambda images, return_tensors: SimpleNamespace(pixel_values=torch.zeros(len(images), 3)),
    )
    return model.eval().requires_grad_(False)


if __name__ == "__main__":
    main()
