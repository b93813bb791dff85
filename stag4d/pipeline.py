"""The method end to end, as plain calls: what the commands, the nodes and the tests run."""

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
from torch import Tensor

from .data import Targets, TrainingViews, hold_out_view
from .evaluation import evaluate_folder
from .evaluation.metrics import compare, compare_on_white, on_white, psnr
from .export import (
    read_official_ply,
    render_file,
    replacing,
    straight_colors,
    write_contact_sheet,
    write_mp4,
    write_picture,
    write_render_folder,
    write_render_poses,
)
from .geometry import OrbitPose, angle_between_deg
from .mini import TEST_POSES, toy_truth, toy_views
from .optimization import ImagePrior, OptimizationConfig, Trainer
from .optimization.checkpoint import fit_key, load_checkpoint, save_checkpoint
from .rendering import render, render_sequence, select_backend
from .scene import GaussianModel4D, Gaussians, SceneInfo, read_official_deformation, save_scene
from .types import Cameras, RenderOutput, StepReport, ViewSet

_logger = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 30.0
SCENE_SECONDS = 1.0  # between two looks at a scene in the making
TURNTABLE_FRAMES = 60
_TURNTABLE_ELEVATION_DEG = 10.0
_TURNTABLE_FPS = (8.0, 240.0)  # what a player can show, whatever the clip's rate

ReportCallback = Callable[[StepReport], None]
SceneCallback = Callable[[GaussianModel4D], None]


def _ignore(*_: object) -> None:
    """Take a report and do nothing."""


@dataclass
class Report:
    """What ``report.json`` says about a fit.

    Attributes:
        settings: The configuration.
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
    resume: bool = False,
    prior: ImagePrior | None = None,
    device: torch.device | str = "cpu",
    backend: str = "auto",
    on_report: ReportCallback = _ignore,
    on_scene: SceneCallback = _ignore,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[GaussianModel4D, Report]:
    """Fit a scene to views, with checkpoints.

    Args:
        views: What is given.
        config: Hyper-parameters.
        start: Gaussians to start from instead of the configured start.
        checkpoint: File to keep the state in, every half minute and when stopped early; the caller removes it
            once the scene is safe. Or a folder: the file in it is named for what decides the result, a fit
            that is stopped early leaves its scene beside it, and both are removed when it is done.
        resume: Whether to go on from that file, if it is there.
        prior: Judge of unseen views.
        device: Where to optimise.
        backend: Rasterizer.
        on_report: Called every few steps.
        on_scene: Called about every second with a copy of the scene so far.
        should_stop: Asked after every step.

    Returns:
        The scene and what there is to report.

    Raises:
        ValueError: if the views, the configuration and the checkpoint do not fit together.
        RuntimeError: if the optimisation breaks down.
        OSError: if the checkpoint cannot be written.
    """
    report = Report(settings=asdict(config))
    with report.stage("start"):
        trainer = Trainer(views, config, start=start, prior=prior, device=device, backend=backend)
        is_folder = checkpoint is not None and checkpoint.is_dir()
        if checkpoint is not None and is_folder:
            checkpoint = checkpoint / f"unfinished_{fit_key(trainer)[:16]}.checkpoint"
        if checkpoint is not None and resume and checkpoint.exists():
            load_checkpoint(checkpoint, trainer)
            _logger.info("resumed at step %d of %d.", trainer.step, config.steps)
        elif resume and not is_folder:
            _logger.warning("%s: no such checkpoint; the fit starts from the beginning.", checkpoint)
    report.backend = select_backend(device, backend)
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
        if on_scene is not _ignore and time.monotonic() - last_shown > SCENE_SECONDS:
            on_scene(trainer.model())
            last_shown = time.monotonic()

    model = trainer.run(watch, should_stop)
    report.seconds["optimize"] = round(trainer.seconds, 3)  # with those before a resume
    if checkpoint is not None and trainer.step < config.steps:
        save_checkpoint(checkpoint, trainer)
        if is_folder:
            save_scene(checkpoint.with_suffix(".safetensors"), model)
        _logger.info("stopped at step %d of %d; --resume goes on from there.", trainer.step, config.steps)
    elif checkpoint is not None and is_folder:
        for suffix in (".checkpoint", ".safetensors"):
            checkpoint.with_suffix(suffix).unlink(missing_ok=True)
    report.steps, report.num_gaussians = trainer.step, len(model.gaussians)
    return model, report


def write_fit(folder: Path, model: GaussianModel4D, report: Report, size: int) -> None:
    """Write ``scene.safetensors``, ``turntable.mp4`` and ``report.json`` into a folder."""
    with report.stage("write"):
        save_scene(folder / "scene.safetensors", model)
        write_turntable(folder / "turntable.mp4", model, size)
    report.write(folder / "report.json")


def write_turntable(
    path: Path, model: GaussianModel4D, size: int, num_frames: int = TURNTABLE_FRAMES
) -> None:
    """Write a clip of one turn around the scene at a slight elevation while the clip plays over and over."""
    info = model.info
    count = (
        info.num_frames * max(round(num_frames / info.num_frames), 1) if info.num_frames > 1 else num_frames
    )
    poses = [
        OrbitPose(
            azimuth_deg=info.input_pose.azimuth_deg + 360 * index / count,
            elevation_deg=_TURNTABLE_ELEVATION_DEG,
            radius=info.input_pose.radius,
            fovy_deg=info.input_pose.fovy_deg,
        )
        for index in range(count)
    ]
    times = model.frame_times[torch.arange(count) % info.num_frames]
    cameras = Cameras.from_poses(poses, size, size)
    fps = min(max(info.fps, _TURNTABLE_FPS[0]), _TURNTABLE_FPS[1])
    write_mp4(path, render_sequence(model, cameras, times).images.clamp(0, 1), fps=fps)


def import_official(
    ply: str | Path, deformation: str | Path, num_frames: int, fps: float = 8.0
) -> GaussianModel4D:
    """Read a scene that the official STAG4D code saved.

    Args:
        ply: Its ``model.ply``.
        deformation: Its ``deformation.pth``.
        num_frames: Frames that it was trained with (``size`` in its configuration; the files do not say).
        fps: Frames a second of the clip.

    Returns:
        The scene, without gradients.

    Raises:
        FileNotFoundError: if a file is not there.
        ValueError: if one is damaged or of another kind, or the numbers are out of range.
    """
    info = SceneInfo(num_frames=num_frames, fps=fps, settings={"source": "official STAG4D"})
    return GaussianModel4D(read_official_ply(ply), read_official_deformation(deformation, num_frames), info)


def render_views(
    model: GaussianModel4D, poses: list[OrbitPose], frames: list[int], size: int, backend: str = "auto"
) -> tuple[Tensor, Tensor]:
    """Render V views of T frames.

    Returns:
        Straight colours [V, T, S, S, 3] and alphas [V, T, S, S].
    """
    cameras = Cameras.from_poses(poses, size, size).to(model.device)
    images, alphas = [], []
    with torch.no_grad():
        for frame in frames:
            posed = model.at(model.frame_times[[frame]])[0]
            output = render(posed, cameras, background=(0.0, 0.0, 0.0), backend=backend)
            images.append(straight_colors(output.images, output.alphas).cpu())
            alphas.append(output.alphas.cpu())
    return torch.stack(images, dim=1), torch.stack(alphas, dim=1)


def write_views_of(
    folder: Path, model: GaussianModel4D, poses: list[OrbitPose], frames: list[int], size: int
) -> None:
    """Render views of frames into a folder, as ``stag4d render`` does."""
    for frame in frames:  # one at a time: a long clip of many views need not fit in memory
        images, alphas = render_views(model, poses, [frame], size)  # [V, 1, S, S, 3], [V, 1, S, S]
        for view in range(len(poses)):
            write_picture(render_file(folder, view, frame), images[view, 0], alphas[view, 0])
    write_render_poses(folder, size, poses, frames, model.info.fps, model.info.num_frames)


def evaluate(model: GaussianModel4D, truth: Path) -> dict[str, Any]:
    """Measure a scene against a folder of true pictures: ``psnr``, ``ssim``, ``iou`` and ``per_view``."""

    @torch.no_grad()
    def draw(cameras: Cameras, frame_time: float) -> RenderOutput:
        posed = model.at(torch.tensor([frame_time], device=model.device))[0]
        return render(posed, cameras.to(model.device))

    return evaluate_folder(draw, truth, num_frames=model.info.num_frames)


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
        ValueError: if there is no such view; the rest see ``fit``.
    """
    remaining, (pose, images, _) = hold_out_view(views, index)
    model, report = fit(remaining, config, **options)
    given = TrainingViews.from_views(views, min(images.shape[1], config.size))
    truth = _on_white(given, 1 + index)
    rendered, alphas = render_views(model, [pose], list(range(views.num_frames)), given.size)
    scores = compare_on_white(on_white(rendered, alphas), alphas, truth.images[None], truth.alphas[None])
    nearest = [_on_white(given, camera).images for camera in _nearest_cameras(views, index)]
    baseline = max(psnr(pictures, truth.images).mean().item() for pictures in nearest)
    report.metrics = {
        "view": index,
        "psnr": scores["psnr"],
        "ssim": scores["ssim"],
        "iou": scores["iou"],
        "nearest_psnr": baseline,
        "gain_db": scores["psnr"] - baseline,
    }
    return model, report


def _nearest_cameras(views: ViewSet, index: int) -> list[int]:
    """Return the cameras, 0 the input's, that look most nearly as posed view ``index`` does, all that tie."""
    angles = {
        camera: angle_between_deg(views.view_poses[index], pose)
        for camera, pose in enumerate((views.input_pose, *views.view_poses))
        if camera != 1 + index
    }
    return [camera for camera, angle in angles.items() if angle <= min(angles.values()) + 0.01]


def _on_white(given: TrainingViews, camera: int) -> Targets:
    """Return one camera's pictures of all frames on white, [F, S, S, 3], and their mattes."""
    white, chosen = torch.ones(1, 3), torch.tensor([camera])
    frames = [given.targets(frame, chosen, white, given.size) for frame in range(given.num_frames)]
    return Targets(torch.cat([one.images for one in frames]), torch.cat([one.alphas for one in frames]))


def demo(
    folder: Path, config: OptimizationConfig, seed: int, num_frames: int = 16, size: int = 128,
    on_report: ReportCallback = _ignore, should_stop: Callable[[], bool] = lambda: False,
) -> Report:  # fmt: skip
    """Fit a toy object whose truth is known, and leave the scene, a turntable, pictures, truth and metrics.

    Args:
        folder: Where to write.
        config: Hyper-parameters.
        seed: Which toy.
        num_frames: Of the clip.
        size: Pixels of its pictures.
        on_report: Called every few steps.
        should_stop: Asked after every step.

    Returns:
        The report, with metrics at four views that the fit never saw.
    """
    began = time.perf_counter()
    views = toy_views(seed, num_frames, size)
    made = time.perf_counter() - began
    model, report = fit(views, config, on_report=on_report, should_stop=should_stop)
    report.seconds = {"sample": round(made, 3), **report.seconds}
    with report.stage("evaluate"):
        truth_images, truth_alphas = toy_truth(seed, TEST_POSES, num_frames, size)  # [V, F, S, S, 3]
        images, alphas = render_views(model, list(TEST_POSES), list(range(num_frames)), size)
        report.metrics = compare(images, alphas, truth_images, truth_alphas)
    pictures, truth = on_white(images, alphas), on_white(truth_images, truth_alphas)
    chosen = sorted({0, num_frames // 2, num_frames - 1})
    rows = torch.stack(
        [picture[:, frame] for frame in chosen for picture in (truth, pictures)]
    )  # [R, V, S, S, 3]
    write_contact_sheet(folder / "unseen_views.png", rows.flatten(0, 1), columns=len(TEST_POSES))
    frames = range(num_frames)
    write_render_folder(
        folder / "truth", truth_images, truth_alphas, TEST_POSES, frames, views.fps, num_frames
    )
    write_fit(folder, model, report, size * 2)
    return report
