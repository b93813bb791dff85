"""The whole method: views of every frame, and a scene fitted to them, with guidance for novel views."""

from __future__ import annotations

from pathlib import Path

from ..data import read_views
from ..diffusion import MultiViewModel, SamplingConfig, SeededNoise, Zero123Model
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


def run(
    folder: Path,
    video: InputVideo,
    model: MultiViewModel,
    sampling: SamplingConfig,
    config: OptimizationConfig,
    *,
    guidance: Zero123Model | None = None,
    perceptual: PerceptualDistance | None = None,
    resume: bool = False,
    monitor: Monitor = silent,
) -> tuple[GaussianModel4D, Report]:
    """Turn a video into a scene.

    Args:
        folder: Output folder: it gets the views in ``views`` and, while unfinished, the checkpoints.
        video: Prepared frames.
        model: Multi-view model; the fit runs on its device.
        sampling: Steps, guidance scale and anchor of the views.
        config: Hyper-parameters of the fit; its seed is used for the views, too.
        guidance: Guidance model for score distillation.
        perceptual: LPIPS network for the perceptual loss; it is frozen and moved to the fit's device.
        resume: Whether to resume an interrupted call.
        monitor: Called by all stages.

    Returns:
        The scene and the report, whose metrics have ``views_flicker``.

    Raises:
        Interrupted: if the user cancels before the fit's first step is complete.
        ValueError: if a number is out of range, frames are not square, renders are too small for LPIPS, or a
            checkpoint is damaged.
        RuntimeError: if a file cannot be written or a stage diverges.
    """
    config.check_guidance(guidance is not None)
    if perceptual is not None and config.losses.perceptual > 0:  # before the views, which take long
        size = min(config.size, max(*video.images.shape[1:3], model.grid.tile_size))
        check_render_sizes(perceptual, [(size, size)], config.batch.sizes)
    stages = Report()
    with stages.stage("views"):
        flicker = write_multiview(
            folder / VIEWS, model, video, SeededNoise(config.seed), sampling, resume=resume, monitor=monitor
        )
    scene, report = fit(
        read_views(folder / VIEWS),
        config,
        checkpoint=Checkpoint(folder / CHECKPOINT, resume=resume),
        make_denoiser=None if guidance is None else denoiser_maker(guidance, config.seed),
        perceptual=perceptual,
        device=model.unet.device,
        compare_interrupted=True,
        monitor=monitor,
    )
    report.seconds = {**stages.seconds, **report.seconds}
    report.metrics = {"views_flicker": flicker}
    return scene, report
