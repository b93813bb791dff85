"""Fit of a scene to views: with checkpoints, a report, and a held-out view to measure on."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..atomic import replacing
from ..data import hold_out_view
from ..evaluation.metrics import check_measurable, compare_on_white, on_white, psnr
from ..export import encode_s4d, write_html
from ..kernels.responsive import run_responsively
from ..optimization import GuidanceDenoiser, OptimizationConfig, Trainer, TrainingViews
from ..optimization.checkpoint import load_state, save_state
from ..progress import Interrupted, Monitor, silent
from ..rendering import select_backend, warm_up
from ..resume import Checkpoint, CheckpointFolder
from ..scene import GaussianModel4D, Gaussians, save_scene
from ..view_set import ViewSet
from .scenes import render_frames, write_turntable

_logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.safetensors"  # of an unfinished fit in its output folder
_PAGE, _TURNTABLE = "scene.html", "turntable.mp4"
_MIN_TURNTABLE_SIZE = 64  # pixels

DenoiserMaker = Callable[[ViewSet, Monitor], GuidanceDenoiser]
"""Prepares a posed diffusion model for the views that are fitted."""


@dataclass
class Report:
    """Contents of ``report.json``.

    Attributes:
        settings: The configuration, with the size that the views allowed.
        seconds: Wall time by stage.
        losses: Weighted loss terms of the last step.
        steps: Steps done; fewer than configured if the fit was interrupted.
        num_gaussians: Number of Gaussians of the scene.
        backend: Rasterizer.
        metrics: Metrics where ground truth is known.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    num_gaussians: int = 0
    backend: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Whether all configured steps are done."""
        return self.steps == self.settings.get("steps", self.steps)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the block's wall time to a stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - began, 3)

    def write(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def fit(
    views: ViewSet,
    config: OptimizationConfig,
    *,
    start: Gaussians | None = None,
    checkpoint: Checkpoint | CheckpointFolder | None = None,
    make_denoiser: DenoiserMaker | None = None,
    device: torch.device | str = "cpu",
    backend: str = "auto",
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
        device: Device of the optimization.
        backend: Rasterizer.
        monitor: Called while the denoiser and the initial scene are prepared and kernels are compiled, after
            every step, with the scene as preview, and within steps.

    Returns:
        The scene and the report, whose ``steps`` are fewer than configured if the fit was interrupted.

    Raises:
        Interrupted: if the user cancels before the first step is complete; nothing is saved then.
        ValueError: if the views, the configuration and the checkpoint are incompatible.
        RuntimeError: if the optimization diverges, or the checkpoint cannot be written.
    """
    report = Report()
    device = _with_index(device)
    check = partial(monitor, "start", 0, 1)
    with report.stage("start"):
        # First what fails at once: the guidance may encode images for minutes.
        report.backend = run_responsively(lambda: select_backend(device, backend), check)
        denoiser = None if make_denoiser is None else make_denoiser(views, monitor)
        prepare = partial(
            _prepare, views, config, start=start, denoiser=denoiser, device=device, backend=backend
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
    return model, report


def _with_index(device: torch.device | str) -> torch.device:
    """Return a device by its index: the current CUDA device is not that of the threads made from here on."""
    device = torch.device(device)
    if device.type == "cuda" and device.index is None and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return device


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
    """Write ``scene.safetensors``, ``scene.html``, ``turntable.mp4`` and ``report.json`` into a folder.

    The page and the video, which take time, are not written for a fit that was interrupted. Those of an
    earlier scene in the folder are removed.

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
        report.write(folder / "report.json")
        raise
    report.write(folder / "report.json")


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
