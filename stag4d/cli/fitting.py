"""``stag4d fit``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import torch

from .. import pipeline
from ..data import read_views
from ..optimization import OptimizationConfig
from .console import Interrupt, Progress
from .fit_options import add_fit_options, fit_config
from .options import EXIT_INTERRUPTED, add_command, device, frame_rate, output_folder, rounded, say


def add_fitting(commands: Any) -> None:
    """Add the command."""
    command = add_command(commands, "fit", _fit, "fit a scene to posed views of a clip")
    command.add_argument(
        "views", help="ViewSet folder: ref/{f}_rgba.png, zero123/{f}_rgba/{v}.png, optional views.json"
    )
    command.add_argument(
        "-o", "--out", required=True, help="folder for scene.safetensors, turntable.mp4 and report.json"
    )
    add_fit_options(command)
    command.add_argument(
        "--guidance-model", metavar="DIR",
        help="folder of a Zero123 model, or bundled/NAME, one that ships with the package: unseen views are "
        "judged by it, score distillation (default: none)",
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
    config = fit_config(options)
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

    folder = pipeline.model_folder(options.guidance_model, "guidance")
    dtype = torch.float16 if device().type == "cuda" else torch.float32
    return distilling(load_guidance_model(folder, device=device(), dtype=dtype), config)
