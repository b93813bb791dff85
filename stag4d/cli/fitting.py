"""``stag4d fit``."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import pipeline
from ..data import read_views
from ..optimization import OptimizationConfig
from .console import Interrupt, Progress
from .fit_options import add_fit_options, add_guidance_options, guided_config
from .networks import load_prior
from .options import EXIT_INTERRUPTED, add_command, device, frame_rate, output_folder, rounded, say

_logger = logging.getLogger(__name__)


def add_fitting(commands: Any) -> None:
    """Add the command."""
    command = add_command(commands, "fit", _fit, "fit a scene to posed views of a clip")
    command.add_argument(
        "views", help="ViewSet folder: ref/{f}_rgba.png, zero123/{f}_rgba/{v}.png, optional views.json"
    )
    command.add_argument(
        "-o", "--out", required=True,
        help="folder for scene.safetensors, scene.html, turntable.mp4 and report.json",
    )  # fmt: skip
    add_fit_options(command)
    add_guidance_options(command)
    command.add_argument(
        "--fps", type=float, help="frames a second of the clip (default: what views.json says, else 8)"
    )
    command.add_argument(
        "--hold-out-view", type=int, metavar="K", help="leave posed view K out of the fit and measure on it"
    )
    command.add_argument(
        "--resume", action="store_true", help="go on from the checkpoint of an interrupted fit in OUT"
    )


def _fit(options: argparse.Namespace) -> int:
    """Fit a scene to a folder of views."""
    config = guided_config(options)
    out = output_folder(options.out)
    checkpoint = out / pipeline.CHECKPOINT
    views = read_views(options.views)
    if not options.resume:
        warn_of_unfinished(out)
    if options.fps is not None:
        views = replace(views, fps=frame_rate(options.fps))
    with Progress(config.steps) as progress, Interrupt() as stop:
        common: dict[str, Any] = {
            "checkpoint": checkpoint,
            "resume": options.resume,
            "device": device(),
            "on_report": progress,
            "should_stop": stop,
            "make_prior": _prior(options, config),
        }
        if options.hold_out_view is not None:
            model, report = pipeline.fit_without_view(views, options.hold_out_view, config, **common)
        else:
            model, report = pipeline.fit(views, config, **common)
    pipeline.write_fit(out, model, report)
    is_done = finish_checkpoint(checkpoint, report, config)
    say(
        {
            "scene": str(out / "scene.safetensors"),
            "num_gaussians": report.num_gaussians,
            **rounded(report.metrics),
        }
    )
    return 0 if is_done else EXIT_INTERRUPTED


def warn_of_unfinished(out: Path) -> None:
    """Say that the state of an interrupted fit will be replaced, if there is one."""
    checkpoint = out / pipeline.CHECKPOINT
    if checkpoint.exists():
        _logger.warning(
            "%s: of a fit that was interrupted; this one replaces it, --resume goes on.", checkpoint
        )


def finish_checkpoint(checkpoint: Path, report: pipeline.Report, config: OptimizationConfig) -> bool:
    """Remove the checkpoint of a fit that is done, or say what it is for; returns which."""
    is_done = report.steps == config.steps
    if is_done:
        checkpoint.unlink(missing_ok=True)
    else:
        _logger.info("--resume goes on from there.")
    return is_done


def _prior(options: argparse.Namespace, config: OptimizationConfig) -> pipeline.PriorMaker | None:
    """Return what judges unseen views, if the options name a model."""
    if options.guidance_model is None:
        return None
    from ..pipeline.guidance import distilling  # diffusers takes seconds to import

    return distilling(load_prior(options.guidance_model), config)
