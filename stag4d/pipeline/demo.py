"""The demonstration: a toy object whose truth is known, fitted, drawn and measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch

from ..evaluation.metrics import compare, on_white
from ..export import write_contact_sheet, write_render_folder
from ..mini import TEST_POSES, toy_truth, toy_views
from ..optimization import OptimizationConfig
from .fitting import Report, ReportCallback, fit, ignore, write_fit
from .scenes import render_views


def demo(
    folder: Path, config: OptimizationConfig, seed: int, num_frames: int = 16, size: int = 128,
    on_report: ReportCallback = ignore, should_stop: Callable[[], bool] = lambda: False,
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
