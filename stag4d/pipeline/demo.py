"""The demonstration: the whole method on a toy that no model was trained on, measured against its truth."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..evaluation.metrics import compare, on_white
from ..export import write_contact_sheet, write_render_folder
from ..optimization import OptimizationConfig
from ..toys import INPUT_POSE, TEST_POSES, toy_seed, toy_truth
from .fitting import CHECKPOINT, Report, write_fit
from .listeners import NOBODY, Listeners
from .scenes import render_views

if TYPE_CHECKING:
    from ..diffusion import MultiViewModel, Zero123Model  # diffusers takes seconds to import

SAMPLE = 7  # number of the test object; benchmarks/truth.py --select says which has the median score


def demo(
    folder: Path,
    multiview: MultiViewModel,
    prior: Zero123Model,
    config: OptimizationConfig,
    *,
    toy: int = toy_seed("test", SAMPLE),
    num_frames: int = 16,
    size: int = 128,
    listeners: Listeners = NOBODY,
) -> Report:
    """Make a scene of the sample clip; leave it with its page, turntable, pictures, truth and metrics.

    Args:
        folder: Where to write.
        multiview: Multi-view model that knows toys.
        prior: Posed prior that knows toys.
        config: Of the fit; its seed is that of the views, too.
        toy: Which, by its seed.
        num_frames: Of the clip.
        size: Pixels of its pictures.
        listeners: Who hears how far it is.

    Returns:
        The report, with metrics at four views that the fit never saw.
    """
    from .whole import run

    began = time.perf_counter()
    clip = toy_truth(toy, (INPUT_POSE,), num_frames, size)  # of one camera
    made = time.perf_counter() - began
    model, report = run(
        folder, clip[0][0], clip[1][0], multiview, multiview.sampling, config,
        prior=prior, listeners=listeners,
    )  # fmt: skip
    report.seconds = {"sample": round(made, 3), **report.seconds}
    with report.stage("evaluate"):
        truth_images, truth_alphas = toy_truth(toy, TEST_POSES, num_frames, size)  # [V, F, S, S, 3]
        images, alphas = render_views(model, list(TEST_POSES), list(range(num_frames)), size)
        report.metrics |= compare(images, alphas, truth_images, truth_alphas)
    pictures, truth = on_white(images, alphas), on_white(truth_images, truth_alphas)
    shown = sorted({0, num_frames // 2, num_frames - 1})
    rows = [picture[:, frame] for frame in shown for picture in (truth, pictures)]
    write_contact_sheet(folder / "unseen_views.png", torch.cat(rows), columns=len(TEST_POSES))
    frames = range(num_frames)
    write_render_folder(
        folder / "truth", truth_images, truth_alphas, TEST_POSES, frames, model.info.fps, num_frames
    )
    write_fit(folder, model, report, size * 2)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return report
