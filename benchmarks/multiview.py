"""The anchored denoiser against the official scheme: time and memory per frame, same weights and kernels.

The official scheme denoises one frame after the other and keeps the anchor's attention inputs of all layers
and steps in host memory, from which the other frames read them. Weights are random: nothing is downloaded.

    python3 tasks.py bench multiview                       a small model, on the CPU
    python3 tasks.py bench multiview --config full         Zero123++'s sizes; on a GPU if there is one

Every measurement is a fresh process, the schemes take turns, and the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import torch
from diffusers import EulerAncestralDiscreteScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from torch import Tensor

from stag4d.diffusion import (
    Anchor,
    Conditioning,
    SamplingConfig,
    SeededNoise,
    denoise,
    denoised_estimate,
    euler_ancestral_step,
    install_reference_attention,
)

CONFIGS: dict[str, tuple[dict[str, Any], tuple[int, int], tuple[int, int], int]] = {
    # UNet, latent size of the grid, latent size of the reference, number of text tokens
    "small": (
        {
            "block_out_channels": (64, 128, 128),
            "attention_head_dim": (2, 4, 4),
            "cross_attention_dim": 64,
            "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        },
        (24, 16),
        (12, 12),
        16,
    ),
    "full": (
        {
            "block_out_channels": (320, 640, 1280, 1280),
            "attention_head_dim": (5, 10, 20, 20),
            "cross_attention_dim": 1024,
        },
        (120, 80),
        (64, 64),
        77,
    ),
}


class OfficialAttention:
    """Self-attention that stores or reads the anchor's inputs of this step and layer."""

    def __init__(self, layer: str, state: dict) -> None:
        self._layer, self._state, self._attend = layer, state, AttnProcessor2_0()

    def __call__(
        self,
        attn: torch.nn.Module,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """Compute attention."""
        state = self._state
        if encoder_hidden_states is None:
            encoder_hidden_states = hidden_states
            if state["mode"] == "write":
                state["reference"][self._layer] = hidden_states
            else:
                key = (state["step"], self._layer)
                if state["is_anchor"]:
                    state["anchor"][key] = hidden_states.cpu()
                else:
                    anchor = state["anchor"][key].to(hidden_states.device)
                    encoder_hidden_states = torch.lerp(hidden_states, anchor, 0.5)
                encoder_hidden_states = torch.cat(
                    [encoder_hidden_states, state["reference"].pop(self._layer)], dim=1
                )
        return self._attend(attn, hidden_states, encoder_hidden_states, attention_mask, temb)


@torch.no_grad()
def official(
    unet: UNet2DConditionModel,
    scheduler: EulerAncestralDiscreteScheduler,
    conditioning: Conditioning,
    noise: SeededNoise,
    num_steps: int,
    grid_size: tuple[int, int],
) -> Tensor:
    """Denoise frame after frame."""
    state: dict = {"anchor": {}}
    unet.set_attn_processor({name: OfficialAttention(name, state) for name in unet.attn_processors})
    scheduler.set_timesteps(num_steps)
    timesteps, sigmas = scheduler.timesteps.tolist(), scheduler.sigmas.tolist()
    shape, device, dtype = (4, *grid_size), unet.device, unet.dtype
    results = []
    for frame in range(len(conditioning)):
        x = noise.initial(frame, shape)[None].to(device) * float(scheduler.init_noise_sigma)
        states = torch.cat([conditioning.uncond_embeddings, conditioning.cond_embeddings[[frame]]]).to(dtype)
        for step, timestep in enumerate(timesteps):
            sigma, next_sigma = sigmas[step : step + 2]
            state |= {"reference": {}, "step": step, "is_anchor": frame == 0}
            clean = conditioning.references[frame]  # [2, C, h, w]
            fresh = torch.stack(
                [noise.reference(frame, step, branch, tuple(clean.shape[1:])) for branch in (0, 1)]
            )
            noisy = (clean + sigma * fresh.to(clean)) / (sigma**2 + 1) ** 0.5
            state["mode"] = "write"
            unet(noisy.to(dtype), timestep, states)
            state["mode"] = "read"
            scaled = (x / (sigma**2 + 1) ** 0.5).to(dtype).repeat(2, 1, 1, 1)
            uncond, cond = unet(scaled, timestep, states).sample.float().chunk(2)
            estimate = denoised_estimate(x, uncond + 4.0 * (cond - uncond), sigma, "v_prediction")
            x = euler_ancestral_step(
                x, estimate, noise.ancestral(frame, step, shape)[None].to(x), sigma, next_sigma
            )
        results.append(x[0])
    return torch.stack(results)


def main() -> None:
    """Measure both schemes in turn, and this package's with different numbers of frames and steps."""
    options = _options()
    if options.cell is not None:
        _run_cell(options)
        return
    runs: dict[str, list[dict]] = {"official": [], "ours": []}
    for _ in range(options.repeats):
        for scheme, cells in runs.items():
            cells.append(_cell(options, scheme, options.frames, options.steps))
    medians = {}
    for scheme, cells in runs.items():
        medians[scheme] = statistics.median(cell["seconds"] for cell in cells)
        print(
            f"{scheme:<9} {medians[scheme] / options.frames:8.3f} s a frame, peak "
            f"{cells[0]['peak_mib'] - cells[0]['start_mib']:8.0f} MiB above the start on {cells[0]['device']}"
            + (f", {cells[0]['host_mib']:.0f} MiB in host memory" if cells[0]["device"] == "cuda" else "")
        )
    print(f"ours / official: {medians['ours'] / medians['official']:.2f} of the time")
    difference = max(
        abs(a - b) for a, b in zip(runs["ours"][0]["sample"], runs["official"][0]["sample"], strict=True)
    )
    print(f"largest difference of a sample of latents: {difference:.1e}")
    print("\nours, memory above the start:")
    for frames, steps in (
        (2, options.steps),
        (options.frames, options.steps),
        (options.frames, 2 * options.steps),
    ):
        cell = _cell(options, "ours", frames, steps, batch_size=2)
        extra = cell["peak_mib"] - cell["start_mib"]
        print(f"  {frames:>4} frames, {steps:>3} steps: {extra:8.1f} MiB, two frames per call")


def _cell(
    options: argparse.Namespace, scheme: str, frames: int, steps: int, batch_size: int | None = None
) -> dict:
    """Return the measurement of a fresh process."""
    command = [sys.executable, __file__, "--config", options.config, "--cell", scheme]
    command += ["--frames", str(frames), "--steps", str(steps)]
    if batch_size is not None:
        command += ["--batch-size", str(batch_size)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])


def _run_cell(options: argparse.Namespace) -> None:
    """Denoise with one scheme and print seconds and memory as JSON."""
    logging.basicConfig(level=logging.WARNING)
    config, grid_size, reference_size, num_tokens = CONFIGS[options.config]
    device = torch.device("cuda" if torch.cuda.is_available() and options.config == "full" else "cpu")
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    torch.manual_seed(0)
    unet = UNet2DConditionModel(sample_size=64, use_linear_projection=True, **config)
    unet = (unet.half() if dtype == torch.float16 else unet).to(device).eval().requires_grad_(False)
    width: int = config["cross_attention_dim"]
    count: int = options.frames
    conditioning = Conditioning(
        torch.randn(1, num_tokens, width).to(device),
        torch.randn(count, num_tokens, width).to(device),
        torch.randn(count, 2, 4, *reference_size).to(device),
    )
    scheduler = EulerAncestralDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, prediction_type="v_prediction", timestep_spacing="trailing"
    )
    noise = SeededNoise(0)

    def run(frames: Conditioning, steps: int) -> Tensor:
        if options.cell == "official":
            return official(unet, scheduler, frames, noise, steps, grid_size)
        sampling = SamplingConfig(num_steps=steps, anchor=Anchor(), batch_size=options.batch_size)
        for state in denoise(unet, scheduler, frames, noise, sampling, grid_size=grid_size):
            latents = state.latents
        return latents

    if options.cell == "ours":
        install_reference_attention(unet)
    first = Conditioning(
        conditioning.uncond_embeddings, conditioning.cond_embeddings[:2], conditioning.references[:2]
    )
    run(first, 1)  # warm-up: kernels are chosen and memory pools grow
    _reset(device)
    start = _peak_mib(device)
    began = time.perf_counter()
    latents = run(conditioning, options.steps)
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    print(
        json.dumps(
            {
                "seconds": seconds,
                "start_mib": start,
                "peak_mib": _peak_mib(device),
                "host_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "device": device.type,
                "sample": latents.flatten()[:: latents.numel() // 100].float().tolist(),
            }
        )
    )


def _reset(device: torch.device) -> None:
    """Reset the memory peak, where that is possible."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()


def _peak_mib(device: torch.device) -> float:
    """Return the peak memory so far: the GPU's, or the process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", choices=tuple(CONFIGS), default="small")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each scheme")
    parser.add_argument("--batch-size", type=int, help="frames per UNet call (default: chosen)")
    parser.add_argument("--cell", choices=("official", "ours"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
