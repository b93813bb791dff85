"""The anchored denoiser: all frames of a clip go through the diffusion steps side by side.

At every step the anchor frame comes first, and its attention inputs at this step serve the other frames: what
is kept does not grow with the number of steps or frames. The official code denoises frame after frame and
keeps the anchor's inputs of all steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import EulerAncestralDiscreteScheduler, UNet2DConditionModel
from torch import Tensor

from .attention import ReadTokens, WriteTokens
from .noise import COND, UNCOND, NoiseSource


@dataclass(frozen=True)
class Anchor:
    """Which frame the others follow, and how closely.

    Attributes:
        frame: Its index.
        strength: Share of its keys and values in theirs, 0 to 1 (paper: 0.5).
    """

    frame: int = 0
    strength: float = 0.5

    def __post_init__(self) -> None:
        """Check the strength; raises ValueError with the value."""
        if not 0 <= self.strength <= 1:
            raise ValueError(f"anchor: strength is {self.strength:g}; expected 0 to 1.")


@dataclass(frozen=True, eq=False)
class Conditions:
    """What F frames are conditioned on.

    Attributes:
        uncond_states: [1, K, D] text states of the empty prompt.
        cond_states: [F, K, D] the same with the frame's ramped image embedding.
        references: [F, 2, C, h, w] latents of the blank image and of the frame, for the halves of guidance.
    """

    uncond_states: Tensor
    cond_states: Tensor
    references: Tensor

    def __len__(self) -> int:
        """Return F."""
        return len(self.cond_states)


@torch.no_grad()
def denoise(
    unet: UNet2DConditionModel,
    scheduler: EulerAncestralDiscreteScheduler,
    conditions: Conditions,
    noise: NoiseSource,
    *,
    grid_size: tuple[int, int],
    num_steps: int,
    guidance_scale: float = 4.0,
    anchor: Anchor | None = None,
    batch_size: int = 4,
    on_step: Callable[[int, Tensor], None] = lambda step, latents: None,
) -> Tensor:
    """Denoise the latent view grids of F frames in lockstep.

    Args:
        unet: With reference attention installed.
        scheduler: Its configuration decides timesteps, noise levels and what the UNet predicts.
        conditions: Of F frames, on the UNet's device.
        noise: Source of all draws.
        grid_size: Height and width of the grid's latent.
        num_steps: Diffusion steps.
        guidance_scale: Of classifier-free guidance (published: 4).
        anchor: The anchor frame; None denoises every frame for itself.
        batch_size: Frames per UNet call; memory grows with it, the result does not depend on it.
        on_step: Called with the number of steps done and the latents so far, after each step; it may raise.

    Returns:
        Latents [F, C, h, w], scaled as the UNet knows them.

    Raises:
        ValueError: if a number is out of range.
    """
    count, device, dtype = len(conditions), unet.device, unet.dtype
    if num_steps < 1 or batch_size < 1:
        raise ValueError(
            f"denoiser: {num_steps} steps, batches of {batch_size}; expected at least 1 of each."
        )
    if anchor is not None and not 0 <= anchor.frame < count:
        raise ValueError(
            f"denoiser: anchor frame {anchor.frame} of {count} frames; expected 0 to {count - 1}."
        )
    scheduler.set_timesteps(num_steps)
    timesteps, sigmas = scheduler.timesteps.tolist(), scheduler.sigmas.tolist()
    shape = (unet.config.in_channels, *grid_size)
    latents = torch.stack([noise.initial(frame, shape) for frame in range(count)]).to(device)  # [F, C, h, w]
    latents = latents * float(scheduler.init_noise_sigma)
    order = list(range(count))
    strength = anchor.strength if anchor is not None else 0.0
    if anchor is not None:
        order.remove(anchor.frame)
        order.insert(0, anchor.frame)
    batches = [order[start : start + batch_size] for start in range(0, count, batch_size)]
    for step, timestep in enumerate(timesteps):
        anchor_tokens: dict[str, Tensor] = {}
        sigma, next_sigma = sigmas[step], sigmas[step + 1]
        for batch in batches:
            references = _noised_references(conditions, noise, batch, step, sigma).to(dtype)
            states = torch.cat(
                [conditions.uncond_states.expand(len(batch), -1, -1), conditions.cond_states[batch]]
            ).to(dtype)
            written = WriteTokens()
            unet(references, timestep, states, cross_attention_kwargs={"exchange": written})
            read = ReadTokens(
                written.tokens,
                anchor_tokens,
                strength if count > 1 else 0.0,
                is_anchor_first=anchor is not None and batch[0] == anchor.frame,
            )
            scaled = (latents[batch] / math.sqrt(sigma**2 + 1)).to(dtype).repeat(2, 1, 1, 1)
            predicted = unet(scaled, timestep, states, cross_attention_kwargs={"exchange": read}).sample
            uncond, cond = predicted.float().chunk(2)  # [B, C, h, w]
            guided = uncond + guidance_scale * (cond - uncond)
            drawn = torch.stack([noise.ancestral(frame, step, shape) for frame in batch]).to(device)
            latents[batch] = ancestral_step(
                latents[batch], guided, drawn, sigma, next_sigma, scheduler.config.prediction_type
            )
        on_step(step + 1, latents)
    return latents


def ancestral_step(
    latents: Tensor, predicted: Tensor, noise: Tensor, sigma: float, next_sigma: float, prediction_type: str
) -> Tensor:
    """Return latents after one Euler ancestral step; Karras et al. 2022, in the form of k-diffusion.

    Args:
        latents: At noise level ``sigma``.
        predicted: What the network says of them.
        noise: Standard normal draw of the same shape.
        sigma: Noise level now.
        next_sigma: Noise level after the step.
        prediction_type: ``epsilon`` or ``v_prediction``.

    Raises:
        ValueError: if the type of prediction is another.
    """
    if prediction_type == "v_prediction":
        clean = predicted * (-sigma / math.sqrt(sigma**2 + 1)) + latents / (sigma**2 + 1)
    elif prediction_type == "epsilon":
        clean = latents - sigma * predicted
    else:
        raise ValueError(
            f"scheduler: prediction_type is {prediction_type!r}; expected epsilon or v_prediction."
        )
    sigma_up = math.sqrt(next_sigma**2 * (sigma**2 - next_sigma**2) / sigma**2)
    sigma_down = math.sqrt(next_sigma**2 - sigma_up**2)
    return latents + (latents - clean) / sigma * (sigma_down - sigma) + noise * sigma_up


def _noised_references(
    conditions: Conditions, noise: NoiseSource, batch: list[int], step: int, sigma: float
) -> Tensor:
    """Return a batch's references at a noise level, as the UNet takes them: [2B, C, h, w], blank first."""
    clean = conditions.references[batch].transpose(0, 1)  # [2, B, C, h, w]
    drawn = torch.stack(
        [
            torch.stack([noise.reference(frame, step, half, tuple(clean.shape[2:])) for frame in batch])
            for half in (UNCOND, COND)
        ]
    ).to(clean)
    return ((clean + sigma * drawn) / math.sqrt(sigma**2 + 1)).flatten(0, 1)
