"""``stag4d run``: the whole method on a clip; ``stag4d demo``: on a bundled toy whose truth is known.

diffusers takes seconds to import, so only the commands themselves do.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import pipeline
from ..data import read_video
from ..matting import prepare_frames
from ..optimization import OptimizationConfig
from .console import Interrupt, Progress, StageBars, stage_listeners
from .fit_options import add_fit_options, add_guidance_options, fit_config, guided_config
from .fitting import finish_checkpoint, warn_of_unfinished
from .networks import load_multiview, load_prior
from .options import (
    EXIT_INTERRUPTED,
    add_clip_options,
    add_command,
    frame_rate,
    output_folder,
    refuse_own_input,
    rounded,
    say,
)

_logger = logging.getLogger(__name__)

BUNDLED_MULTIVIEW, BUNDLED_GUIDANCE = "bundled/mini-zero123plus", "bundled/mini-zero123"


def add_whole(commands: Any) -> None:
    """Add the commands."""
    command = add_command(
        commands, "demo", _demo, "make a scene of a bundled toy by the bundled models; compare with its truth"
    )
    command.add_argument("-o", "--out", default="demo_out", help="folder to write (default: %(default)s)")
    add_fit_options(command)

    command = add_command(commands, "run", _run, "make a scene of the object in a clip")
    command.add_argument(
        "-o", "--out", required=True,
        help="folder for scene.safetensors, scene.html, turntable.mp4, report.json and views/",
    )  # fmt: skip
    command.add_argument(
        "--multiview-model", required=True, metavar="DIR",
        help=f"folder of a Zero123++ model as published; {BUNDLED_MULTIVIEW} knows toys only",
    )  # fmt: skip
    add_clip_options(command)
    command.add_argument(
        "--view-steps", type=int, help="diffusion steps (default: what the model's folder says, else 75)"
    )
    add_fit_options(command)
    add_guidance_options(command)
    command.add_argument(
        "--resume", action="store_true", help="go on from what the same command left when it was interrupted"
    )


def _run(options: argparse.Namespace) -> int:
    """Run the whole method on a clip."""
    from ..pipeline.whole import VIEWS, run

    out, config = output_folder(options.out), guided_config(options)
    pipeline.model_folder(options.multiview_model, "multiview")  # a wrong name is told before any work
    if options.guidance_model is not None:
        pipeline.model_folder(options.guidance_model, "guidance")
    if not options.resume:
        warn_of_unfinished(out)
    refuse_own_input(Path(options.clip), out / VIEWS)
    clip = read_video(options.clip, options.frames)
    fps = frame_rate(clip.fps if options.fps is None else options.fps)
    images, alphas = prepare_frames(clip.frames, size=config.size, margin=options.margin, names=clip.names)
    del clip  # a long one of large frames takes more than the rest
    model = load_multiview(options.multiview_model)
    prior = None if options.guidance_model is None else load_prior(options.guidance_model)
    sampling = model.sampling
    if options.view_steps is not None:
        sampling = replace(sampling, num_steps=options.view_steps)
    with _watching(config) as listeners:
        scene, report = run(
            out, images, alphas, model, sampling, config, prior=prior,
            input_elevation_deg=options.input_elevation, fps=fps, resume=options.resume,
            listeners=listeners,
        )  # fmt: skip
    pipeline.write_fit(out, scene, report)
    finish_checkpoint(out / pipeline.CHECKPOINT, report, config)
    return _finish(out, report, config)


def _demo(options: argparse.Namespace) -> int:
    """Run the whole method on a toy whose truth is known."""
    config = fit_config(options)
    out = output_folder(options.out)
    multiview, prior = load_multiview(BUNDLED_MULTIVIEW), load_prior(BUNDLED_GUIDANCE)
    with _watching(config) as listeners:
        report = pipeline.demo(out, multiview, prior, config, listeners=listeners)
    return _finish(out, report, config)


@contextmanager
def _watching(config: OptimizationConfig) -> Iterator[pipeline.Listeners]:
    """Give what the stages call: bars, and the question whether Ctrl-C was pressed."""
    bars = StageBars(encode="frame", denoise="step", decode="frame")
    with Interrupt() as stop, bars, Progress(config.steps) as progress:
        yield pipeline.Listeners(**stage_listeners(bars, stop), on_report=progress, should_stop=stop)


def _finish(out: Path, report: pipeline.Report, config: OptimizationConfig) -> int:
    """Say where the result is; returns the exit status."""
    _logger.info("open %s, or look at %s", out / "scene.html", out / "turntable.mp4")
    say({"scene": str(out / "scene.safetensors"), **rounded(report.metrics)})
    return 0 if report.steps == config.steps else EXIT_INTERRUPTED
