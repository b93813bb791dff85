"""Sampling of a video's view grids: encode the frames, denoise the grids, keep a checkpoint."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from functools import partial

from torch import Tensor

from ..progress import Check, Monitor, never_cancel, silent
from ..resume import Checkpoint, input_key
from .denoiser import denoise, set_timesteps
from .latent_preview import LatentPreview
from .noise import SeededNoise
from .sampling_config import SamplingConfig
from .zero123plus import MultiViewModel

_logger = logging.getLogger(__name__)


def sample_latents(
    model: MultiViewModel,
    images: Tensor,
    alphas: Tensor,
    noise: SeededNoise,
    config: SamplingConfig,
    *,
    checkpoint: Checkpoint | None = None,
    monitor: Monitor = silent,
) -> Tensor:
    """Encode the frames of a video and denoise their view grids.

    Args:
        model: Multi-view model.
        images: [F, S, S, 3] straight colors.
        alphas: [F, S, S].
        noise: Source of all random numbers.
        config: Steps, guidance scale, anchor.
        checkpoint: Keeps the state, every half minute and whenever this call ends, also by an exception; the
            caller removes it once the views are safe.
        monitor: Called at the start of each stage, after each encoded frame and each batch of a diffusion
            step, between the passes through the networks, and with a preview of one frame's grid after each
            step.

    Returns:
        Latents [F, C, h, w].

    Raises:
        ValueError: if a number is out of range or the checkpoint is damaged.
    """
    num_frames = len(images)
    config.check_num_frames(num_frames)
    num_steps = set_timesteps(model.scheduler, config)
    shape = (num_frames, model.unet.config.in_channels, *model.grid_size)
    start = None
    if checkpoint is not None:
        start = checkpoint.restore(partial(load_latents, checkpoint, shape, num_steps))
    if start is not None and start[0] == num_steps:  # only decoding was interrupted
        return start[1]
    conditioning = model.encode_conditioning(images, alphas, noise, monitor)
    preview = LatentPreview(model)
    state = start
    try:
        for step, _, latents, denoised in denoise(
            model.unet,
            model.scheduler,
            conditioning,
            noise,
            config,
            grid_size=model.grid_size,
            start=start,
            monitor=monitor,
        ):
            state = step, latents
            if checkpoint is not None and checkpoint.is_due():
                save_latents(checkpoint, *state)
            shown = denoised[step % num_frames]  # another frame at each step: a preview has one
            monitor("denoise", step * num_frames, num_steps * num_frames, preview=partial(preview, shown))
    finally:  # also when interrupted; before the first step this writes the loaded state again
        if checkpoint is not None and state is not None:
            save_latents(checkpoint, *state)
    return latents  # of the last step; there was at least one


def sampling_key(
    model: MultiViewModel,
    images: Tensor,
    alphas: Tensor,
    noise: SeededNoise,
    config: SamplingConfig,
    check: Check = never_cancel,
) -> str:
    """Return a hash of all inputs that the latents depend on; see ``MultiViewModel.fingerprint``."""
    # The batch size changes rounding errors only, and may differ when a call is resumed.
    settings = {**asdict(replace(config, batch_size=None)), **asdict(noise)}
    return input_key(
        f"{model.fingerprint(check)} {sorted(settings.items())}",
        repr(tuple(images.shape)),
        images.float(),
        repr(tuple(alphas.shape)),
        alphas.float(),
    )


def save_latents(checkpoint: Checkpoint, step: int, latents: Tensor) -> None:
    """Save steps done and latents; if they cannot be written, sampling continues without a checkpoint."""
    try:
        checkpoint.save({"latents": latents}, {"step": str(step)})
    except RuntimeError as error:
        _logger.warning("%s Sampling continues without a checkpoint.", error)


def load_latents(checkpoint: Checkpoint, shape: tuple[int, ...], num_steps: int) -> tuple[int, Tensor] | None:
    """Return steps done and latents, None without a checkpoint; raises CheckpointError if they do not fit."""
    loaded = checkpoint.load()
    if loaded is None:
        return None
    tensors, metadata = loaded
    try:
        step, latents = int(metadata["step"]), tensors["latents"].float()
    except (KeyError, ValueError) as error:
        raise checkpoint.error(f"damaged ({error})") from error
    if not latents.isfinite().all():
        raise checkpoint.error("latents that are not finite")
    if latents.shape != shape or not 0 <= step <= num_steps:
        raise checkpoint.error(
            f"latents {list(latents.shape)} after {step} steps; expected {list(shape)} after at most "
            f"{num_steps}"
        )
    _logger.info("resuming after diffusion step %d of %d.", step, num_steps)
    return step, latents
