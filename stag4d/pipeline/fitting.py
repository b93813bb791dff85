"""Fitting a scene to views: with checkpoints, a report, and a view left out to measure on."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..atomic import replacing
from ..data import hold_out_view
from ..evaluation.metrics import check_measurable, compare_on_white, on_white, psnr
from ..export import encode_s4d, write_html
from ..geometry import nearest_poses
from ..optimization import ImagePrior, OptimizationConfig, Trainer
from ..optimization.checkpoint import load_checkpoint, save_checkpoint
from ..optimization.training_views import TrainingViews
from ..rendering import select_backend
from ..scene import GaussianModel4D, Gaussians, save_scene
from ..types import StepReport, ViewSet
from .scenes import ignore, render_views, write_turntable

_logger = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 30.0
SCENE_SECONDS = 1.0  # between two looks at a scene in the making
CHECKPOINT = "checkpoint.safetensors"  # of an unfinished fit; the caller removes it once the scene is safe
_LEAST_TURNTABLE = 64  # pixels

ReportCallback = Callable[[StepReport], None]
SceneCallback = Callable[[GaussianModel4D], None]
PriorMaker = Callable[[ViewSet], ImagePrior]


@dataclass
class Report:
    """What ``report.json`` says about a fit.

    Attributes:
        settings: The configuration, at the size that the views allowed.
        seconds: Wall time by stage.
        losses: Weighted loss terms of the last step.
        steps: Steps done; fewer than planned when the fit was stopped.
        num_gaussians: Of the scene.
        backend: Rasterizer.
        metrics: Scores where a truth is known.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    num_gaussians: int = 0
    backend: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)

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
    checkpoint: Path | None = None,
    unfinished: Path | None = None,
    resume: bool = False,
    make_prior: PriorMaker | None = None,
    device: torch.device | str = "cpu",
    backend: str = "auto",
    on_report: ReportCallback = ignore,
    on_scene: SceneCallback = ignore,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[GaussianModel4D, Report]:
    """Fit a scene to views, with checkpoints.

    Args:
        views: What is given.
        config: Hyper-parameters.
        start: Gaussians to start from instead of the configured start.
        checkpoint: File to keep the state in, every half minute and when stopped early; the caller removes it
            once the scene is safe.
        unfinished: Folder to keep it in instead, in a file named for what decides the result: a fit that is
            stopped early leaves its scene beside it, one that is done removes both.
        resume: Whether to go on from the state, if it is there.
        make_prior: Makes a judge of unseen views from the views that are fitted.
        device: Where to optimise.
        backend: Rasterizer.
        on_report: Called every few steps.
        on_scene: Called about every second with a copy of the scene so far.
        should_stop: Asked after every step.

    Returns:
        The scene and what there is to report.

    Raises:
        ValueError: if the views, the configuration and the checkpoint do not fit together.
        RuntimeError: if the optimisation breaks down, or the checkpoint cannot be written.
    """
    report = Report(backend=select_backend(device, backend))
    with report.stage("start"):
        prior = None if make_prior is None else make_prior(views)
        trainer = Trainer(views, config, start=start, prior=prior, device=device, backend=backend)
        if unfinished is not None:
            checkpoint = unfinished / f"unfinished_{trainer.key[:16]}.checkpoint"
        if checkpoint is not None and resume:
            _go_on(trainer, checkpoint, is_expected=unfinished is None)
    report.settings = dict(trainer.info.settings)
    _logger.info(
        "preset %s: %d steps on %d frames and %d posed views, %d pixels, %s on %s.",
        config.preset, config.steps, views.num_frames, views.num_views, trainer.views.size, report.backend,
        trainer.device,
    )  # fmt: skip
    last_saved = last_shown = time.monotonic()

    def watch(step: StepReport) -> None:
        nonlocal last_saved, last_shown
        report.losses = dict(step.losses)
        on_report(step)
        if checkpoint is not None and time.monotonic() - last_saved > CHECKPOINT_SECONDS:
            save_checkpoint(checkpoint, trainer)
            last_saved = time.monotonic()
        if on_scene is not ignore and time.monotonic() - last_shown > SCENE_SECONDS:
            on_scene(trainer.model())
            last_shown = time.monotonic()

    model = trainer.run(watch, should_stop)
    report.seconds["optimize"] = round(trainer.seconds, 3)  # with those before a resume
    if checkpoint is not None and trainer.step < config.steps:
        save_checkpoint(checkpoint, trainer)
        if unfinished is not None:
            save_scene(checkpoint.with_suffix(".safetensors"), model)
        _logger.info("stopped at step %d of %d.", trainer.step, config.steps)
    elif checkpoint is not None and unfinished is not None:
        for suffix in (".checkpoint", ".safetensors"):
            checkpoint.with_suffix(suffix).unlink(missing_ok=True)
    report.steps, report.num_gaussians = trainer.step, len(model.gaussians)
    return model, report


def _go_on(trainer: Trainer, checkpoint: Path, is_expected: bool) -> None:
    """Load a checkpoint if it is there; if it is not, say so where it was expected."""
    if checkpoint.exists():
        load_checkpoint(checkpoint, trainer)
        _logger.info("resumed at step %d of %d.", trainer.step, trainer.config.steps)
    elif is_expected:
        _logger.warning("%s: no such checkpoint; the fit starts from the beginning.", checkpoint)


def write_fit(folder: Path, model: GaussianModel4D, report: Report, size: int | None = None) -> None:
    """Write ``scene.safetensors``, ``scene.html``, ``turntable.mp4`` and ``report.json`` into a folder.

    Args:
        folder: Where to.
        model: The scene.
        report: Of the fit.
        size: Of the turntable, pixels; None is that of the fit, or a little more where that is tiny.
    """
    if size is None:
        size = max(int(model.info.settings["size"]), _LEAST_TURNTABLE)
    with report.stage("write"):
        save_scene(folder / "scene.safetensors", model)
        write_turntable(folder / "turntable.mp4", model, size)
        write_html(folder / "scene.html", encode_s4d(model), "STAG4D scene")
    report.write(folder / "report.json")


def fit_without_view(
    views: ViewSet, index: int, config: OptimizationConfig, **options: Any
) -> tuple[GaussianModel4D, Report]:
    """Fit to all views but one and measure on that one.

    The baseline is the given picture whose viewing direction is nearest by angle; of two equally near, the
    better. Pictures are compared at the size of the fit, or their own if that is smaller.

    Args:
        views: The whole set.
        index: The posed view to leave out.
        config: Hyper-parameters.
        options: See ``fit``.

    Returns:
        The scene and the report, whose metrics have ``psnr`` of the left-out view on white, ``nearest_psnr``
        of the baseline and their difference ``gain_db``.

    Raises:
        ValueError: if there is no such view, or its pictures are too small to measure; the rest see ``fit``.
    """
    remaining, (pose, images, _) = hold_out_view(views, index)
    size = min(images.shape[1], config.size)
    check_measurable(size, size)
    model, report = fit(remaining, config, **options)
    given = TrainingViews.from_views(views, size)
    truth = given.on_white(1 + index)
    rendered, alphas = render_views(model, [pose], list(range(views.num_frames)), given.size)
    scores = compare_on_white(on_white(rendered, alphas), alphas, truth.images[None], truth.alphas[None])
    others = [camera for camera in range(1 + views.num_views) if camera != 1 + index]  # 0 is the input
    poses = (views.input_pose, *views.view_poses)
    nearest = [others[camera] for camera in nearest_poses(pose, [poses[other] for other in others])]
    baseline = max(psnr(given.on_white(camera).images, truth.images).mean().item() for camera in nearest)
    report.metrics = {
        "view": index,
        "psnr": scores["psnr"],
        "ssim": scores["ssim"],
        "iou": scores["iou"],
        "nearest_psnr": baseline,
        "gain_db": scores["psnr"] - baseline,
    }
    return model, report
