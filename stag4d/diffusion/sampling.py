"""Latents of a whole clip, from frames to the last diffusion step, with a state to go on from."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..atomic import write_whole
from .denoiser import Progress, SamplingConfig, denoise, planned_steps
from .noise import SeededNoise
from .zero123plus import MultiViewModel

_logger = logging.getLogger(__name__)

Stage = Literal["encode", "denoise", "decode"]
StageCallback = Callable[[Stage, int, int], None]  # what is being done, how much of it is done, of how much

CHECKPOINT_SECONDS = 30.0


def sample_latents(
    model: MultiViewModel,
    images: Tensor,
    alphas: Tensor,
    noise: SeededNoise,
    config: SamplingConfig,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    on_stage: StageCallback = lambda stage, done, total: None,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_batch: Callable[[], None] = lambda: None,
) -> Tensor:
    """Encode a clip and denoise its views.

    Args:
        model: Multi-view model.
        images: [F, S, S, 3] straight colors.
        alphas: [F, S, S].
        noise: Source of all draws.
        config: Steps, guidance, anchor.
        checkpoint: File to keep the state in, every half minute and whenever this call ends, also by an
            error; the caller removes it once the views are safe.
        resume: Whether to go on from that file, if it is there.
        on_stage: Called after each frame that is encoded and each diffusion step; it may raise.
        on_step: Called after each diffusion step with the latents; it may raise.
        on_batch: Called after each batch of frames within a step; it may raise.

    Returns:
        Latents [F, C, h, w].

    Raises:
        ValueError: if a number is out of range or the checkpoint is damaged.
    """
    config.check_clip(len(images))
    shape = (len(images), model.unet.config.in_channels, *model.grid_size)
    num_steps = planned_steps(model.scheduler, config)
    start = None
    if checkpoint is not None and resume:
        start = _load(checkpoint, shape, num_steps)
    if start is not None and start[0] == num_steps:
        return start[1]
    conditions = model.condition_on(
        images, alphas, noise, on_frame=lambda done: on_stage("encode", done, len(images))
    )
    reached = start
    last_saved = time.monotonic()

    def watch(progress: Progress) -> None:
        nonlocal reached, last_saved
        reached = progress.step, progress.latents
        if checkpoint is not None and time.monotonic() - last_saved > CHECKPOINT_SECONDS:
            _save(checkpoint, *reached)
            last_saved = time.monotonic()
        on_step(progress)
        on_stage("denoise", progress.step, progress.num_steps)

    try:
        return denoise(
            model.unet,
            model.scheduler,
            conditions,
            noise,
            config,
            grid_size=model.grid_size,
            start=start,
            on_step=watch,
            on_batch=on_batch,
        )
    finally:
        if checkpoint is not None and reached is not None:
            _save(checkpoint, *reached)


def sampling_key(
    model: MultiViewModel, images: Tensor, alphas: Tensor, noise: SeededNoise, config: SamplingConfig
) -> str:
    """Return a hash of all that decides the latents; see ``MultiViewModel.fingerprint`` for the model's."""
    said = {**asdict(replace(config, batch_size=None)), **asdict(noise)}
    digest = hashlib.sha256(f"{model.fingerprint()} {sorted(said.items())}".encode())
    for tensor in (images, alphas):
        digest.update(repr(tuple(tensor.shape)).encode())
        for frame in tensor:  # one at a time: a long clip is not copied whole
            digest.update(frame.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _save(path: Path, step: int, latents: Tensor) -> None:
    """Write steps done and latents, whole or not at all; a full disk costs the state and not the work."""
    try:
        write_whole(path, save({"latents": latents.cpu().contiguous()}, metadata={"step": str(step)}))
    except RuntimeError as error:
        _logger.warning("%s The diffusion's state to go on from is not kept.", error)


def _load(path: Path, shape: tuple[int, ...], num_steps: int) -> tuple[int, Tensor] | None:
    """Return steps done and latents from a file, None when it is not there; raises ValueError if unfit."""
    if not path.exists():
        _logger.info("nothing to go on from; the views are drawn from the beginning.")
        return None
    try:
        with safe_open(path, "pt") as file:
            step, latents = int((file.metadata() or {})["step"]), file.get_tensor("latents").clone().float()
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete it to start from the beginning.") from error
    if not latents.isfinite().all():
        raise ValueError(f"{path}: latents that are not finite; delete it to start from the beginning.")
    if latents.shape != shape or not 0 <= step <= num_steps:
        raise ValueError(
            f"{path}: latents {list(latents.shape)} after {step} steps; expected {list(shape)} after at most "
            f"{num_steps}. Delete it to start from the beginning."
        )
    _logger.info("going on after diffusion step %d.", step)
    return step, latents
