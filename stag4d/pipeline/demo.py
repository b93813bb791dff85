"""The demo: the whole method on a toy that no model was trained on, measured against its ground truth."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..evaluation.metrics import compare, on_white
from ..export import write_contact_sheet, write_render_folder
from ..optimization import OptimizationConfig
from ..progress import Interrupted, Monitor, silent
from ..toys import ANY_CHARACTER, INPUT_POSE, TEST_POSES, toy_seed, toy_truth
from ..types import InputVideo
from .fit_report import Report
from .fitting import CHECKPOINT, write_fit
from .scenes import render_views

if TYPE_CHECKING:
    from ..diffusion import MultiViewModel, Zero123Model  # diffusers takes seconds to import

SAMPLE = 7  # number of the test toy, the one with the median score of benchmarks/truth.py --select


def demo(
    folder: Path,
    multiview: MultiViewModel,
    guidance: Zero123Model,
    config: OptimizationConfig,
    *,
    toy: int = toy_seed("test", SAMPLE),
    num_frames: int = 16,
    size: int = 128,
    monitor: Monitor = silent,
) -> Report:
    """Make a scene of the sample video; write it with its page, turntable, images, ground truth and metrics.

    Args:
        folder: Output folder.
        multiview: Multi-view model that was trained on toys.
        guidance: Guidance model that was trained on toys.
        config: Hyper-parameters of the fit; its seed is used for the views, too.
        toy: Seed of the toy.
        num_frames: Frames of the video.
        size: Pixels of its frames.
        monitor: Called by all stages.

    Returns:
        The report, with metrics at four views that the fit never saw; of an interrupted fit without them.

    Raises:
        Interrupted: if the user cancels before the fit's first step is complete, or after its last; the scene
            is written in the latter case.
    """
    from .whole import run

    began = time.perf_counter()
    images, alphas = toy_truth(toy, (INPUT_POSE,), num_frames, size, ANY_CHARACTER, monitor)  # [1, F, ...]
    sample_seconds = time.perf_counter() - began
    model, report = run(
        folder,
        InputVideo(images[0], alphas[0]),
        lambda: multiview,
        config,
        load_guidance=lambda: guidance,
        monitor=monitor,
    )
    report.seconds = {"sample": round(sample_seconds, 3), **report.seconds}
    (folder / CHECKPOINT).unlink(missing_ok=True)  # the demo does not resume
    if not report.is_finished:
        write_fit(folder, model, report)
        return report
    frames = list(range(num_frames))
    try:
        with report.stage("evaluate"):  # truth is [V, F, S, S, 3]
            truth_images, truth_alphas = toy_truth(toy, TEST_POSES, num_frames, size, ANY_CHARACTER, monitor)
            images, alphas = render_views(model, list(TEST_POSES), frames, size)
            report.metrics |= compare(images, alphas, truth_images, truth_alphas)
    except Interrupted:
        write_fit(folder, model, report, size * 2, monitor)  # keeps the finished scene
        raise
    rendered, truth = on_white(images, alphas), on_white(truth_images, truth_alphas)
    shown = sorted({0, num_frames // 2, num_frames - 1})
    rows = [views[:, frame] for frame in shown for views in (truth, rendered)]
    write_contact_sheet(folder / "unseen_views.png", torch.cat(rows), columns=len(TEST_POSES))
    write_render_folder(
        folder / "truth", truth_images, truth_alphas, TEST_POSES, frames, model.info.fps, num_frames
    )
    write_fit(folder, model, report, size * 2, monitor)
    return report
