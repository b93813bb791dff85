"""``stag4d fit`` and ``stag4d demo``."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from typing import Any

import torch

from .. import pipeline
from ..data import read_views
from ..mini import toy_seed
from ..optimization import OptimizationConfig, preset
from .console import Interrupt, Progress
from .options import EXIT_INTERRUPTED, add_command, device, frame_rate, output_folder, rounded, say

_logger = logging.getLogger(__name__)


def add_fitting(commands: Any) -> None:
    """Add the commands."""
    command = add_command(
        commands, "demo", _demo, "fit a bundled toy object and compare with its truth; needs no files"
    )
    command.add_argument("-o", "--out", default="demo_out", help="folder to write (default: %(default)s)")
    _add_fit_options(command)

    command = add_command(commands, "fit", _fit, "fit a scene to posed views of a clip")
    command.add_argument(
        "views", help="ViewSet folder: ref/{f}_rgba.png, zero123/{f}_rgba/{v}.png, optional views.json"
    )
    command.add_argument(
        "-o", "--out", required=True, help="folder for scene.safetensors, turntable.mp4 and report.json"
    )
    _add_fit_options(command)
    command.add_argument(
        "--guidance-model", metavar="DIR",
        help="folder of a Zero123 model: unseen views are judged by it, score distillation (default: none)",
    )  # fmt: skip
    command.add_argument(
        "--guidance-weight", type=float, metavar="W", help="of score distillation (default: the preset's)"
    )
    command.add_argument(
        "--guidance-anchors", choices=("sectors", "nearest", "reference"), default="sectors",
        help="what the prior is told of: the frame or the view in the same sector of azimuth, as published; "
        "the picture nearest by angle; or the frame alone (default: %(default)s)",
    )  # fmt: skip
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
    config = _config(options)
    guidance = replace(config.guidance, anchors=options.guidance_anchors)
    if options.guidance_weight is not None:
        guidance = replace(guidance, weight=options.guidance_weight)
    config = replace(config, guidance=guidance)
    out = output_folder(options.out)
    checkpoint = out / "checkpoint.safetensors"
    views = read_views(options.views)
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
    pipeline.write_fit(out, model, report, min(config.size, max(views.images.shape[1], 64)))
    is_done = report.steps == config.steps
    if is_done:
        checkpoint.unlink(missing_ok=True)
    say(
        {
            "scene": str(out / "scene.safetensors"),
            "num_gaussians": report.num_gaussians,
            **rounded(report.metrics),
        }
    )
    return 0 if is_done else EXIT_INTERRUPTED


def _prior(options: argparse.Namespace, config: OptimizationConfig) -> pipeline.PriorMaker | None:
    """Return what judges unseen views, if the options name a model."""
    if options.guidance_model is None:
        return None
    from ..diffusion import load_guidance_model  # diffusers takes seconds to import
    from ..pipeline.guidance import distilling

    dtype = torch.float16 if device().type == "cuda" else torch.float32
    return distilling(load_guidance_model(options.guidance_model, device=device(), dtype=dtype), config)


def _demo(options: argparse.Namespace) -> int:
    """Fit a toy object whose truth is known."""
    config = _config(options)
    out = output_folder(options.out)
    with Progress(config.steps) as progress, Interrupt() as stop:
        report = pipeline.demo(out, config, toy_seed("test", 0), on_report=progress, should_stop=stop)
    _logger.info("look at %s and %s", out / "turntable.mp4", out / "unseen_views.png")
    say({"scene": str(out / "scene.safetensors"), **rounded(report.metrics)})
    return 0 if report.steps == config.steps else EXIT_INTERRUPTED


def _add_fit_options(command: argparse.ArgumentParser) -> None:
    """Add what steers a fit."""
    command.add_argument(
        "--preset", choices=("fast", "paper", "quality"),
        help="fast: first looks; quality: slower and better; paper: the published numbers, needs a guidance "
        "model (default: fast on a CPU, quality on CUDA)",
    )  # fmt: skip
    command.add_argument("--steps", type=int, help="optimisation steps (default: the preset's)")
    command.add_argument(
        "--size", type=int, help="render size, pixels (default: the preset's, at most the views')"
    )
    command.add_argument("--seed", type=int, default=0, help="of every random draw (default: %(default)s)")


def _config(options: argparse.Namespace) -> OptimizationConfig:
    """Return the configuration that the options ask for."""
    name = options.preset
    if name is None:
        name = "quality" if torch.cuda.is_available() else "fast"
    return preset(name, steps=options.steps, size=options.size, seed=options.seed)
