"""Fit of a scene to views: with checkpoints, a report, and a held-out view to measure on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..data import hold_out_view
from ..evaluation.metrics import check_measurable, compare_on_white, on_white, psnr
from ..export import encode_s4d, write_html
from ..kernels.responsive import run_responsively
from ..lpips import PerceptualDistance
from ..optimization import GuidanceDenoiser, OptimizationConfig, Trainer, TrainingViews
from ..optimization.checkpoint import load_state, save_state
from ..progress import Interrupted, Monitor, silent
from ..rendering import select_backend, warm_up, with_index
from ..resume import Checkpoint, CheckpointFolder
from ..scene import GaussianModel4D, Gaussians, save_scene
from ..view_set import ViewSet
from .fit_comparison import compare_views, measured_frames, shown_frames
from .fit_page import write_fit_page
from .fit_report import Report
from .fit_warnings import fit_warnings
from .scenes import render_frames, write_turntable

_logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.safetensors"  # of an unfinished fit in its output folder
_PAGE, _TURNTABLE = "scene.html", "turntable.mp4"
_REPORT, _REPORT_PAGE = "report.json", "report.html"
_MIN_TURNTABLE_SIZE = 64  # pixels

DenoiserMaker = Callable[[ViewSet, Monitor], GuidanceDenoiser]
"""Prepares a posed diffusion model for the views that are fitted."""


def fit(
    views: ViewSet,
    config: OptimizationConfig,
    *,
    start: Gaussians | None = None,
    checkpoint: Checkpoint | CheckpointFolder | None = None,
    make_denoiser: DenoiserMaker | None = None,
    perceptual: PerceptualDistance | None = None,
    device: torch.device | str = "cpu",
    backend: str = "auto",
    compare_interrupted: bool = False,
    monitor: Monitor = silent,
) -> tuple[GaussianModel4D, Report]:
    """Fit a scene to views; an interrupted fit returns the scene that it reached.

    Args:
        views: Input frames and posed views.
        config: Hyper-parameters.
        start: Gaussians to start from instead of the configured initialization.
        checkpoint: Keeps the state, every half minute, when interrupted and at the end. The caller removes a
            single file after saving the scene. In a folder, an interrupted fit also leaves its scene beside
            the checkpoint, and a finished one removes both.
        make_denoiser: Prepares the guidance model for score distillation.
        perceptual: LPIPS network for the perceptual loss; it is frozen and moved to ``device``.
        device: Device of the optimization.
        backend: Rasterizer.
        compare_interrupted: Whether the report of an interrupted fit, too, compares the scene with the views,
            at three frames, which takes another moment.
        monitor: Called while the denoiser and the initial scene are prepared and kernels are compiled, after
            every step, with the scene as preview, within steps, and while the finished scene is compared with
            the views.

    Returns:
        The scene and the report, whose ``steps`` are fewer than configured if the fit was interrupted. Its
        warnings are logged, too.

    Raises:
        Interrupted: if the user cancels before the first step is complete; nothing is saved then.
        ValueError: if the views, the configuration and the checkpoint are incompatible.
        RuntimeError: if the optimization diverges, or the checkpoint cannot be written.
    """
    report = Report()
    device = with_index(device)  # the current CUDA device is not that of the threads made from here on
    check = partial(monitor, "start", 0, 1)
    with report.stage("start"):
        # First what fails at once: the guidance may encode images for minutes.
        report.backend = run_responsively(lambda: select_backend(device, backend), check)
        denoiser = None if make_denoiser is None else make_denoiser(views, monitor)
        prepare = partial(
            _prepare,
            views,
            config,
            start=start,
            denoiser=denoiser,
            perceptual=perceptual,
            device=device,
            backend=backend,
        )
        trainer = run_responsively(prepare, check)
        file = checkpoint
        if isinstance(file, CheckpointFolder):
            file = file.checkpoint(trainer.key, ".checkpoint")
        if file is not None and file.restore(partial(load_state, file, trainer)):
            _logger.info("resumed at step %d of %d.", trainer.step, config.steps)
        monitor("start", 1, 1)
    report.settings = dict(trainer.info.settings)
    _logger.info(
        "preset %s: %d steps on %d frames and %d posed views, %d pixels, %s on %s.",
        config.preset,
        config.steps,
        views.num_frames,
        views.num_views,
        trainer.views.size,
        report.backend,
        trainer.device,
    )
    if trainer.perceptual is not None:
        _logger.info(
            "perceptual loss: LPIPS with %s, weight %g.",
            trainer.perceptual.backbone,
            config.losses.perceptual,
        )

    def save_if_due() -> None:
        if file is not None and file.is_due():
            save_state(file, trainer)

    try:
        trainer.run(monitor, save_if_due)
    except Interrupted:
        if trainer.step == 0:  # there is nothing to keep
            raise
    model = trainer.model()
    report.seconds["optimize"] = round(trainer.seconds, 3)  # with those before a resume
    report.losses, report.steps, report.num_gaussians = trainer.losses, trainer.step, len(model.gaussians)
    if isinstance(checkpoint, CheckpointFolder) and file is not None:
        _keep_or_remove(file, trainer, model, report.is_finished)
    elif file is not None:
        _keep_state(file, trainer, report.is_finished)
    if not report.is_finished:
        _logger.info("interrupted at step %d of %d.", trainer.step, config.steps)
    report.history = trainer.history
    if report.is_finished or compare_interrupted:
        with suppress(Interrupted), report.stage("compare"):
            _compare(report, trainer, model, views, monitor if report.is_finished else silent)
    return model, report


def _compare(
    report: Report, trainer: Trainer, model: GaussianModel4D, views: ViewSet, monitor: Monitor
) -> None:
    """Add the comparison with the views and the warnings to a report; raises Interrupted on cancel."""
    losses, choose = trainer.config.losses, measured_frames if report.is_finished else shown_frames
    report.comparison = compare_views(
        model.to(trainer.device),
        views,
        trainer.views,
        frames=choose(views.num_frames),
        has_view_losses=losses.view_color > 0 or losses.view_alpha > 0,
        backend=trainer.backend,
        monitor=monitor,
    )
    report.warnings = fit_warnings(report.history, report.comparison)
    for sentence in report.warnings:
        _logger.warning("%s", sentence)


def _prepare(views: ViewSet, config: OptimizationConfig, *, backend: str, **options: Any) -> Trainer:
    """Compile kernels, carve the visual hull and hash all images, which takes seconds; see ``Trainer``."""
    warm_up(options["device"], backend)
    trainer = Trainer(views, config, backend=backend, **options)
    _ = trainer.key
    return trainer


def _keep_or_remove(
    checkpoint: Checkpoint, trainer: Trainer, model: GaussianModel4D, is_finished: bool
) -> None:
    """Keep the state and the scene of an interrupted fit in a folder; remove those of a finished one."""
    scene = checkpoint.path.with_suffix(".safetensors")
    if is_finished:
        checkpoint.remove()
        scene.unlink(missing_ok=True)
    else:
        _keep_state(checkpoint, trainer, is_finished)
        save_scene(scene, model)


def _keep_state(checkpoint: Checkpoint, trainer: Trainer, is_finished: bool) -> None:
    """Save the state at the end; raises RuntimeError if that of an interrupted fit cannot be written."""
    try:
        save_state(checkpoint, trainer)
    except RuntimeError as error:
        if not is_finished:
            raise
        _logger.warning("%s", error)  # of a finished fit the scene matters, which is smaller


def write_fit(
    folder: Path,
    model: GaussianModel4D,
    report: Report,
    size: int | None = None,
    monitor: Monitor = silent,
) -> None:
    """Write a scene into a folder: ``scene.safetensors``, ``scene.html``, ``turntable.mp4`` and the report.

    The report is ``report.json`` and ``report.html``, which has curves and images. The page that plays the
    scene and the video, which take time, are not written for a fit that was interrupted. Those of an earlier
    scene in the folder are removed.

    Args:
        folder: Output folder.
        model: The scene.
        report: The fit's report.
        size: Turntable size, pixels; None is that of the fit, at least 64.
        monitor: Called after each frame of the page and each image of the turntable.

    Raises:
        Interrupted: if the user cancels; the page, the turntable or both are missing then.
        RuntimeError: if a file cannot be written.
    """
    if size is None:
        size = max(int(model.info.settings["size"]), _MIN_TURNTABLE_SIZE)

    def monitor_page(stage: str, done: int, total: int, **options: Any) -> None:
        monitor("page", done, total, **options)

    def monitor_turntable(stage: str, done: int, total: int, **options: Any) -> None:
        monitor("turntable", done, total, **options)

    try:
        with report.stage("write"):
            save_scene(folder / "scene.safetensors", model)
            for name in (_PAGE, _TURNTABLE):
                (folder / name).unlink(missing_ok=True)  # it shows the scene that was there before
            if report.is_finished:
                write_html(folder / _PAGE, encode_s4d(model, monitor=monitor_page), "STAG4D scene")
                write_turntable(folder / _TURNTABLE, model, size, monitor=monitor_turntable)
    except Interrupted:
        _write_report(folder, report)
        raise
    _write_report(folder, report)


def _write_report(folder: Path, report: Report) -> None:
    """Write ``report.json`` and ``report.html``; raises RuntimeError if one cannot be written."""
    report.write(folder / _REPORT)
    write_fit_page(folder / _REPORT_PAGE, report)


def fit_without_view(
    views: ViewSet, index: int, config: OptimizationConfig, **options: Any
) -> tuple[GaussianModel4D, Report]:
    """Fit to all views but one and measure on that one.

    The baseline is the given image whose viewing direction is nearest by angle; of two equally near, the
    better. Images are compared at the size of the fit, or their own if that is smaller.

    Args:
        views: All views.
        index: The posed view to hold out.
        config: Hyper-parameters.
        options: See ``fit``.

    Returns:
        The scene and the report, whose metrics have ``psnr`` of the held-out view on white and, if the
        nearest view has its size, ``nearest_psnr`` of the baseline and their difference ``gain_db``; none if
        the fit was interrupted.

    Raises:
        ValueError: if there is no such view, or its images are too small to measure; the rest see ``fit``.
    """
    remaining, held_out = hold_out_view(views, index)
    size = min(max(held_out.images.shape[1:3]), config.size)
    check_measurable(size, size)
    model, report = fit(remaining, config, **options)
    if not report.is_finished:
        return model, report
    given = TrainingViews.from_views(views, size)
    view = index + given.has_reference
    truth, cameras = given.on_white(view), given.cameras_of(view)
    rendered, alphas = render_frames(model.object_centered(), cameras)
    scores = compare_on_white(
        on_white(rendered, alphas)[None], alphas[None], truth.images[None], truth.alphas[None]
    )
    report.metrics = {"view": index, "psnr": scores["psnr"], "ssim": scores["ssim"], "iou": scores["iou"]}
    nearest = [given.on_white(other).images for other in given.nearest_views(view)]
    same_size = [images for images in nearest if images.shape == truth.images.shape]
    if same_size:
        baseline = max(psnr(images, truth.images).mean().item() for images in same_size)
        report.metrics |= {"nearest_psnr": baseline, "gain_db": scores["psnr"] - baseline}
    return model, report
