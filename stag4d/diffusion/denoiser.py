"""The anchored denoiser: all frames of a video take each diffusion step together.

At every step the anchor frame is denoised first, and its self-attention inputs are blended into those of the
other frames. Only the inputs of one step are stored, so that the memory does not grow with the number of
steps or frames. The official code denoises frame after frame and stores the anchor's inputs of all steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from diffusers import EulerAncestralDiscreteScheduler, UNet2DConditionModel
from torch import Tensor

from ..devices import to_device
from ..progress import Monitor, silent
from .batching import AdaptiveBatches, anchor_first
from .conditioning import Conditioning
from .noise import NoiseSource
from .sampling_config import SamplingConfig
from .token_exchange import ReadTokens, Tokens, WriteTokens

PREDICTION_TYPES = ("epsilon", "v_prediction")  # model outputs that ``denoised_estimate`` knows


class DenoiserState(NamedTuple):
    """F frames after a diffusion step.

    Attributes:
        step: Steps done.
        num_steps: Steps in all.
        latents: [F, C, h, w] at the noise level after the step; sampling can be resumed from them.
        denoised: [F, C, h, w] the step's denoised estimate (x0).
    """

    step: int
    num_steps: int
    latents: Tensor
    denoised: Tensor


@torch.no_grad()
def denoise(
    unet: UNet2DConditionModel,
    scheduler: EulerAncestralDiscreteScheduler,
    conditioning: Conditioning,
    noise: NoiseSource,
    config: SamplingConfig,
    *,
    grid_size: tuple[int, int],
    start: tuple[int, Tensor] | None = None,
    monitor: Monitor = silent,
) -> Iterator[DenoiserState]:
    """Denoise the latent view grids of F frames in lockstep.

    Euler ancestral sampling (Karras et al. 2022, in the form of k-diffusion) with reference attention
    (Zero123++) and the temporal anchor. A batch that does not fit into memory is retried at half its size.

    Args:
        unet: UNet with reference attention installed.
        scheduler: Its configuration decides timesteps, noise levels and the prediction type.
        conditioning: Conditioning of F frames, on the UNet's device.
        noise: Source of all random numbers.
        config: Steps, guidance scale, anchor, batch size.
        grid_size: Height and width of the grid's latent.
        start: Steps done and latents [F, C, h, w] of an interrupted call, to resume it.
        monitor: Called at the start, between the batches of a step, and between the passes through the UNet;
            an interrupt there loses the step.

    Yields:
        The state after each step.

    Raises:
        ValueError: if there is no such anchor frame, or the latents of ``start`` have the wrong shape.
        RuntimeError: if the model output is not finite.
    """
    num_frames, shape = len(conditioning), (unet.config.in_channels, *grid_size)
    config.check_num_frames(num_frames)
    num_steps = set_timesteps(scheduler, config)
    if start is None:
        # Shared noise: all frames start from one latent, which keeps them consistent as the anchor does.
        initial = torch.stack([noise.initial(frame, shape) for frame in range(num_frames)])  # [F, C, h, w]
        start = 0, initial * float(scheduler.init_noise_sigma)
    first, latents = start[0], start[1].to(unet.device, copy=True)
    if latents.shape != (num_frames, *shape) or not 0 <= first <= num_steps:
        raise ValueError(
            f"denoiser: cannot resume from latents {list(latents.shape)} after {first} steps; expected "
            f"{[num_frames, *shape]}, at most {num_steps} steps."
        )
    # What the host reads is a list, what the UNet reads is on its device: a GPU is not waited for.
    timesteps, sigmas = to_device(scheduler.timesteps, unet.device), scheduler.sigmas.tolist()
    anchor = config.anchor if num_frames > 1 else None  # one frame has nothing to be mixed with
    order, branches, dtype = anchor_first(config.anchor, num_frames), config.branches, unet.dtype
    batches = AdaptiveBatches(config.batch_size, math.prod(grid_size), unet.device)
    monitor("denoise", first * num_frames, num_steps * num_frames)
    for step in range(first, num_steps):
        timestep, sigma, next_sigma = timesteps[step], sigmas[step], sigmas[step + 1]
        # Not in place: a batch that runs out of memory starts again from the latents before the step.
        next_latents, denoised = torch.empty_like(latents), torch.empty_like(latents)  # [F, C, h, w]
        anchor_tokens: Tokens = {}
        previous_tokens: Tokens = {}
        num_done = step * num_frames
        for batch in batches.of(order):
            write = WriteTokens()
            rows = to_device(torch.tensor(batch), unet.device)  # [B]
            read = ReadTokens(write.tokens, batch, anchor, anchor_tokens, previous_tokens)
            with batches.attempt(batch, release=read.clear):
                # Reference pass: the self-attentions store their inputs for the noised reference.
                embeddings = conditioning.prompt_embeddings(branches, batch).to(dtype)  # [GB, K, D]
                # Noised to this step's sigma: the reference and the view grid are at one noise level.
                references = conditioning.noised_references(branches, batch, noise, step, sigma)
                unet(references.to(dtype), timestep, embeddings, cross_attention_kwargs={"exchange": write})
                monitor("denoise", num_done, num_steps * num_frames)

                # Anchored pass: keys and values also come from the reference and the anchor frame.
                noisy = latents[rows]  # [B, C, h, w]
                # The Euler scheduler's scale_model_input: the latents are stored as x0 + sigma * noise.
                scaled = (noisy / math.sqrt(sigma**2 + 1)).to(dtype).repeat(len(branches), 1, 1, 1)
                output = unet(scaled, timestep, embeddings, cross_attention_kwargs={"exchange": read}).sample

                # Classifier-free guidance, in float32; the conditional branch comes last.
                *uncond, guided = output.float().split(len(batch))
                if uncond:
                    guided = uncond[0] + config.guidance_scale * (guided - uncond[0])

                # Euler ancestral step.
                estimate = denoised_estimate(noisy, guided, sigma, scheduler.config.prediction_type)
                fresh = torch.stack([noise.ancestral(frame, step, shape) for frame in batch])
                fresh = to_device(fresh, noisy.device).to(noisy)
                next_latents[rows] = euler_ancestral_step(noisy, estimate, fresh, sigma, next_sigma)
                denoised[rows] = estimate
                previous_tokens = read.last_tokens
                num_done += len(batch)
            if num_done < (step + 1) * num_frames:  # the caller reports the end of a step
                monitor("denoise", num_done, num_steps * num_frames)
        if not denoised.isfinite().all():  # once per step, since it waits for the device
            raise RuntimeError(
                f"denoiser: step {step + 1} gave values that are not finite in {unet.dtype}; load the model "
                "in bfloat16 or float32."
            )
        latents = next_latents
        yield DenoiserState(step + 1, num_steps, latents, denoised)


def set_timesteps(scheduler: EulerAncestralDiscreteScheduler, config: SamplingConfig) -> int:
    """Set a scheduler's timesteps and return their number: for some step counts diffusers makes one more."""
    scheduler.set_timesteps(config.num_steps)
    return len(scheduler.timesteps)


def denoised_estimate(latents: Tensor, output: Tensor, sigma: float, prediction_type: str) -> Tensor:
    """Return the denoised estimate (x0) of a model output; Karras et al. 2022, in the form of k-diffusion.

    Args:
        latents: Noisy latents at noise level ``sigma``.
        output: The UNet's output for them.
        sigma: Noise level.
        prediction_type: ``epsilon`` or ``v_prediction``.

    Raises:
        ValueError: if the prediction type is neither.
    """
    if prediction_type == "v_prediction":
        return output * (-sigma / math.sqrt(sigma**2 + 1)) + latents / (sigma**2 + 1)
    if prediction_type == "epsilon":
        return latents - sigma * output
    raise ValueError(f"scheduler: prediction_type is {prediction_type!r}; expected epsilon or v_prediction.")


def euler_ancestral_step(
    latents: Tensor, denoised: Tensor, noise: Tensor, sigma: float, next_sigma: float
) -> Tensor:
    """Return latents after one Euler ancestral step; Karras et al. 2022, in the form of k-diffusion.

    Args:
        latents: At noise level ``sigma``.
        denoised: Their denoised estimate.
        noise: Standard normal noise of the same shape.
        sigma: Noise level before the step.
        next_sigma: Noise level after the step.
    """
    sigma_up = math.sqrt(next_sigma**2 * (sigma**2 - next_sigma**2) / sigma**2)
    sigma_down = math.sqrt(next_sigma**2 - sigma_up**2)
    return latents + (latents - denoised) / sigma * (sigma_down - sigma) + noise * sigma_up
