"""The whole method: views of every frame, and a scene fitted to them, with guidance for novel views."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

from ..data import read_views
from ..diffusion import MultiViewModel, SamplingConfig, SeededNoise, Zero123Model
from ..kernels.responsive import run_responsively
from ..lpips import PerceptualDistance
from ..optimization import OptimizationConfig, check_render_sizes
from ..progress import Monitor, silent
from ..resume import Checkpoint
from ..scene import GaussianModel4D
from ..types import InputVideo
from .fit_report import Report
from .fitting import CHECKPOINT, fit
from .guidance import denoiser_maker
from .multiview import write_multiview

VIEWS = "views"  # folder of the views within the output folder

_Model = TypeVar("_Model")


def run(
    folder: Path,
    video: InputVideo,
    load_model: Callable[[], MultiViewModel],
    config: OptimizationConfig,
    *,
    view_steps: int | None = None,
    confirm: Callable[[MultiViewModel, SamplingConfig], object] | None = None,
    load_guidance: Callable[[], Zero123Model] | None = None,
    perceptual: PerceptualDistance | None = None,
    resume: bool = False,
    monitor: Monitor = silent,
) -> tuple[GaussianModel4D, Report]:
    """Turn a video into a scene.

    No two diffusion models are in memory together: the multi-view model is released before the guidance model
    is loaded, unless the caller holds it.

    Args:
        folder: Output folder: it gets the views in ``views`` and, while unfinished, the checkpoints.
        video: Prepared frames.
        load_model: Loads the multi-view model; the fit runs on its device.
        config: Hyper-parameters of the fit; its seed is used for the views, too.
        view_steps: Diffusion steps of the views; None takes the model's own.
        confirm: Called before the views are generated; raises an exception to cancel.
        load_guidance: Loads the guidance model for score distillation.
        perceptual: LPIPS network for the perceptual loss; it is frozen and moved to the fit's device.
        resume: Whether to resume an interrupted call.
        monitor: Called by all stages, and while models are loaded.

    Returns:
        The scene and the report, whose metrics have ``views_flicker``.

    Raises:
        Interrupted: if the user cancels before the fit's first step is complete.
        ValueError: if a number is out of range, frames are not square, renders are too small for LPIPS, or a
            checkpoint is damaged.
        RuntimeError: if a file cannot be written or a stage diverges.
    """
    config.check_guidance(load_guidance is not None)
    model = _load(load_model, monitor)
    device = model.unet.device
    if perceptual is not None and config.losses.perceptual > 0:  # before the views, which take long
        size = min(config.size, max(*video.images.shape[1:3], model.grid.tile_size))
        check_render_sizes(perceptual, [(size, size)], config.batch.sizes)
    sampling = model.sampling if view_steps is None else replace(model.sampling, num_steps=view_steps)
    if confirm is not None:
        confirm(model, sampling)
    stages = Report()
    with stages.stage("views"):
        flicker = write_multiview(
            folder / VIEWS, model, video, SeededNoise(config.seed), sampling, resume=resume, monitor=monitor
        )
    del model
    _release(device)
    guidance = None if load_guidance is None else _load(load_guidance, monitor)
    scene, report = fit(
        read_views(folder / VIEWS),
        config,
        checkpoint=Checkpoint(folder / CHECKPOINT, resume=resume),
        make_denoiser=None if guidance is None else denoiser_maker(guidance, config.seed),
        perceptual=perceptual,
        device=device,
        compare_interrupted=True,
        monitor=monitor,
    )
    report.seconds = {**stages.seconds, **report.seconds}
    report.metrics = {"views_flicker": flicker}
    return scene, report


def _load(load: Callable[[], _Model], monitor: Monitor) -> _Model:
    """Load a model, which takes up to minutes; raises Interrupted if the user cancels meanwhile."""
    model = run_responsively(load, partial(monitor, "load", 0, 1))
    monitor("load", 1, 1)
    return model


def _release(device: torch.device) -> None:
    """Release the memory of objects that are no longer used, to other processes as well."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
