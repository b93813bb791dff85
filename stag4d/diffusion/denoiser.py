"""The anchored denoiser: all frames of a clip go through the diffusion steps side by side.

At every step the anchor frame comes first, and its attention inputs at this step serve the other frames: what
is kept does not grow with the number of steps or frames. The official code denoises frame after frame and
keeps the anchor's inputs of all steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from diffusers import EulerAncestralDiscreteScheduler, UNet2DConditionModel
from torch import Tensor

from .attention import ReadTokens, WriteTokens
from .batching import AdaptiveBatches
from .noise import COND, UNCOND, NoiseSource

PREDICTION_TYPES = ("epsilon", "v_prediction")  # what a UNet may say of noisy latents


@dataclass(frozen=True)
class Anchor:
    """Which frame the others follow, and how closely.

    Attributes:
        frame: Its index.
        strength: Share of its keys and values in theirs, 0 to 1 (paper: 0.5).
        previous_strength: Share of the previous frame's, which makes it a second anchor (paper: 0).
    """

    frame: int = 0
    strength: float = 0.5
    previous_strength: float = 0.0

    def __post_init__(self) -> None:
        """Check the strengths; raises ValueError with the values."""
        if not 0 <= self.strength <= 1:
            raise ValueError(f"anchor: strength is {self.strength:g}; expected 0 to 1.")
        if not 0 <= self.previous_strength <= 1 - self.strength + 1e-6:
            raise ValueError(
                f"anchor: previous_strength is {self.previous_strength:g} beside a strength of "
                f"{self.strength:g}; expected 0 or more, and both together at most 1."
            )


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

    def states(self, half: int, frames: list[int]) -> Tensor:
        """Return the text states [B, K, D] of B frames for a half of guidance."""
        if half == UNCOND:
            return self.uncond_states.expand(len(frames), -1, -1)
        return self.cond_states[frames]


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How the views of a clip are drawn.

    Attributes:
        num_steps: Diffusion steps (published: 28 to 75; official STAG4D: 75).
        guidance_scale: Of classifier-free guidance (published: 4). 0 ignores the frame; 1 takes what the
            network says of the frame as it is, which is half the work.
        anchor: The anchor frame; None denoises every frame for itself.
        batch_size: Frames per UNet call; None chooses, on CUDA by the memory that is free, elsewhere by the
            size of a frame. But for rounding the result does not depend on it.
    """

    num_steps: int = 75
    guidance_scale: float = 4.0
    anchor: Anchor | None = field(default_factory=Anchor)
    batch_size: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError with the offending value."""
        if not 1 <= self.num_steps <= 1000:
            raise ValueError(f"sampling: {self.num_steps} steps; expected 1 to 1000.")
        if not 0 <= self.guidance_scale < math.inf:
            raise ValueError(f"sampling: guidance_scale is {self.guidance_scale}; expected 0 or more.")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"sampling: batches of {self.batch_size} frames; expected at least 1.")

    @property
    def halves(self) -> tuple[int, ...]:
        """Return which halves of guidance count: at scale 1 the unconditional one cancels out."""
        return (COND,) if self.guidance_scale == 1 else (UNCOND, COND)

    def check_clip(self, num_frames: int) -> None:
        """Raise ValueError unless a clip of that many frames has the anchor frame."""
        if self.anchor is not None and not 0 <= self.anchor.frame < num_frames:
            raise ValueError(
                f"sampling: anchor frame {self.anchor.frame} of {num_frames} frames; expected 0 to "
                f"{num_frames - 1}."
            )


@dataclass(frozen=True, eq=False)
class Progress:
    """How far F frames are.

    Attributes:
        step: Diffusion steps done.
        num_steps: Steps planned.
        latents: [F, C, h, w] at this step's noise level; a later call can go on from them.
        clean: [F, C, h, w] the network's last estimate of the result.
    """

    step: int
    num_steps: int
    latents: Tensor
    clean: Tensor


@torch.no_grad()
def denoise(
    unet: UNet2DConditionModel,
    scheduler: EulerAncestralDiscreteScheduler,
    conditions: Conditions,
    noise: NoiseSource,
    config: SamplingConfig,
    *,
    grid_size: tuple[int, int],
    start: tuple[int, Tensor] | None = None,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_batch: Callable[[], None] = lambda: None,
) -> Tensor:
    """Denoise the latent view grids of F frames in lockstep.

    A batch that does not fit into memory is tried again at half its size, which is logged.

    Args:
        unet: With reference attention installed.
        scheduler: Its configuration decides timesteps, noise levels and what the UNet predicts.
        conditions: Of F frames, on the UNet's device.
        noise: Source of all draws.
        config: Steps, guidance, anchor.
        grid_size: Height and width of the grid's latent.
        start: Steps done and latents of an interrupted call to go on from.
        on_step: Called after each step; it may raise.
        on_batch: Called after each batch of frames within a step; it may raise, and the step is then lost.

    Returns:
        Latents [F, C, h, w], scaled as the UNet knows them.

    Raises:
        ValueError: if there is no such anchor frame, or ``start`` has another shape.
        RuntimeError: if the network's answer is not finite.
    """
    count = len(conditions)
    shape = (unet.config.in_channels, *grid_size)
    config.check_clip(count)
    num_steps = planned_steps(scheduler, config)
    if start is None:
        drawn = torch.stack([noise.initial(frame, shape) for frame in range(count)])  # [F, C, h, w]
        start = 0, drawn * float(scheduler.init_noise_sigma)
    first, latents = start[0], start[1].to(unet.device, copy=True)
    if latents.shape != (count, *shape) or not 0 <= first <= num_steps:
        raise ValueError(
            f"denoiser: cannot go on from latents {list(latents.shape)} after {first} steps; expected "
            f"{[count, *shape]}, at most {num_steps} steps."
        )
    clip = _Clip(unet, conditions, noise, config, scheduler.config.prediction_type, latents)
    batches = AdaptiveBatches(config.batch_size, math.prod(grid_size), unet.device)
    timesteps, sigmas = scheduler.timesteps.tolist(), scheduler.sigmas.tolist()
    for step in range(first, num_steps):
        level = _Level(step, timesteps[step], sigmas[step], sigmas[step + 1])
        with clip.step():
            batches.run(clip.order, partial(clip.advance, level), on_batch)
        if not clip.clean.isfinite().all():
            raise RuntimeError(
                f"denoiser: step {step + 1} gave numbers that are not finite in {unet.dtype}; load the model "
                "in bfloat16 or float32."
            )
        on_step(Progress(step + 1, num_steps, clip.latents, clip.clean))
    return clip.latents


def planned_steps(scheduler: EulerAncestralDiscreteScheduler, config: SamplingConfig) -> int:
    """Set a scheduler's timesteps and return their number: for some step counts diffusers makes one more."""
    scheduler.set_timesteps(config.num_steps)
    return len(scheduler.timesteps)


@dataclass(frozen=True)
class _Level:
    """One diffusion step: its number, its timestep, the noise levels before and after it."""

    step: int
    timestep: float
    sigma: float
    next_sigma: float


class _Clip:
    """All frames of a clip on their way: their latents, and the tokens that they share within a step."""

    def __init__(
        self,
        unet: UNet2DConditionModel,
        conditions: Conditions,
        noise: NoiseSource,
        config: SamplingConfig,
        prediction_type: str,
        latents: Tensor,
    ) -> None:
        self._unet, self._conditions, self._noise, self._config = unet, conditions, noise, config
        self._prediction_type = prediction_type
        self.latents = latents  # [F, C, h, w]
        self.clean = torch.zeros_like(latents)  # [F, C, h, w]
        self.order = list(range(len(latents)))
        if config.anchor is not None:
            self.order.remove(config.anchor.frame)
            self.order.insert(0, config.anchor.frame)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Take all frames to the next noise level; what is interrupted leaves them at the one before."""
        self._anchor_tokens: dict[str, Tensor] = {}
        self._previous_tokens: dict[str, Tensor] = {}
        self._next = torch.empty_like(self.latents)
        yield
        self.latents = self._next

    def advance(self, level: _Level, batch: list[int]) -> None:
        """Take a batch of frames through a step; after an error it may be called with the frames again."""
        sigma, latents = level.sigma, self.latents[batch]  # [B, C, h, w]
        read = ReadTokens(anchor=self._anchor_tokens, previous=self._previous_tokens, batch=batch)
        if self._config.anchor is not None and len(self.order) > 1:
            anchor = self._config.anchor
            read.anchor_frame = anchor.frame
            read.strength, read.previous_strength = anchor.strength, anchor.previous_strength
        predicted = self._predict(level, batch, latents / math.sqrt(sigma**2 + 1), read)
        clean = clean_estimate(latents, predicted, sigma, self._prediction_type)
        drawn = torch.stack(
            [self._noise.ancestral(frame, level.step, tuple(latents.shape[1:])) for frame in batch]
        )
        self._next[batch] = ancestral_step(latents, clean, drawn.to(latents), sigma, level.next_sigma)
        self.clean[batch] = clean
        self._previous_tokens = read.last

    def _predict(self, level: _Level, batch: list[int], scaled: Tensor, read: ReadTokens) -> Tensor:
        """Return what the network says of scaled latents [B, C, h, w], guided, float32 of the same shape."""
        dtype, halves = self._unet.dtype, self._config.halves
        references = self._noised_references(level, batch)  # [HB, C, h', w']
        states = torch.cat([self._conditions.states(half, batch) for half in halves]).to(dtype)  # [HB, K, D]
        write = WriteTokens(read.reference)
        self._unet(references.to(dtype), level.timestep, states, cross_attention_kwargs={"exchange": write})
        predicted = self._unet(
            scaled.to(dtype).repeat(len(halves), 1, 1, 1),
            level.timestep,
            states,
            cross_attention_kwargs={"exchange": read},
        ).sample
        *uncond, cond = predicted.float().split(len(batch))
        return uncond[0] + self._config.guidance_scale * (cond - uncond[0]) if uncond else cond

    def _noised_references(self, level: _Level, batch: list[int]) -> Tensor:
        """Return a batch's references at a noise level, as the UNet takes them: [HB, C, h', w']."""
        halves = self._config.halves
        clean = self._conditions.references[batch][:, list(halves)].transpose(0, 1)  # [H, B, C, h', w']
        shape = tuple(clean.shape[2:])
        drawn = torch.stack(
            [
                torch.stack([self._noise.reference(frame, level.step, half, shape) for frame in batch])
                for half in halves
            ]
        ).to(clean)
        return ((clean + level.sigma * drawn) / math.sqrt(level.sigma**2 + 1)).flatten(0, 1)


def clean_estimate(latents: Tensor, predicted: Tensor, sigma: float, prediction_type: str) -> Tensor:
    """Return the latents without noise that a prediction stands for; Karras et al. 2022, as in k-diffusion.

    Args:
        latents: At noise level ``sigma``.
        predicted: What the network says of them.
        sigma: Noise level.
        prediction_type: ``epsilon`` or ``v_prediction``.

    Raises:
        ValueError: if the type of prediction is another.
    """
    if prediction_type == "v_prediction":
        return predicted * (-sigma / math.sqrt(sigma**2 + 1)) + latents / (sigma**2 + 1)
    if prediction_type == "epsilon":
        return latents - sigma * predicted
    raise ValueError(f"scheduler: prediction_type is {prediction_type!r}; expected epsilon or v_prediction.")


def ancestral_step(latents: Tensor, clean: Tensor, noise: Tensor, sigma: float, next_sigma: float) -> Tensor:
    """Return latents after one Euler ancestral step; Karras et al. 2022, in the form of k-diffusion.

    Args:
        latents: At noise level ``sigma``.
        clean: The estimate of them without noise.
        noise: Standard normal draw of the same shape.
        sigma: Noise level now.
        next_sigma: Noise level after the step.
    """
    sigma_up = math.sqrt(next_sigma**2 * (sigma**2 - next_sigma**2) / sigma**2)
    sigma_down = math.sqrt(next_sigma**2 - sigma_up**2)
    return latents + (latents - clean) / sigma * (sigma_down - sigma) + noise * sigma_up
