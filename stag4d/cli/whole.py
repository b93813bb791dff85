"""``stag4d run``: the whole method on a video; ``stag4d demo``: on a toy whose ground truth is known.

diffusers takes seconds to import, so it is imported within the functions that need it.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import pipeline
from ..startup import EXIT_INTERRUPTED
from .console import ConsoleMonitor
from .fit_options import (
    add_fit_options,
    add_guidance_options,
    add_perceptual_options,
    config_with_networks,
    fit_config,
)
from .fitting import announce_checkpoint, write_outputs
from .networks import check_named_model, load_guidance, load_multiview, load_perceptual
from .options import (
    add_command,
    add_rig_option,
    add_video_options,
    output_folder,
    print_result,
    read_input,
    refuse_own_input,
    rounded,
)

_logger = logging.getLogger(__name__)

DEMO_STEPS = 700  # views of 64 pixels need fewer steps than the presets take
BUNDLED_MULTIVIEW, BUNDLED_GUIDANCE = "bundled/mini-zero123plus", "bundled/mini-zero123"


def add_whole(commands: Any) -> None:
    """Add the commands."""
    command = add_command(
        commands,
        "demo",
        _demo,
        "make a scene of an animated character with the bundled models; compare it with ground truth",
    )
    command.add_argument("-o", "--out", default="demo_out", help="folder to write (default: %(default)s)")
    add_fit_options(command, DEMO_STEPS)

    command = add_command(commands, "run", _run, "make a scene of the object in a video")
    command.add_argument(
        "-o",
        "--out",
        required=True,
        help="folder for scene.safetensors, scene.html, turntable.mp4, report.json, report.html and views/",
    )
    command.add_argument(
        "--multiview-model",
        required=True,
        metavar="DIR",
        help=f"folder of a Zero123++ model as published; {BUNDLED_MULTIVIEW} was trained on toys only",
    )
    add_video_options(command)
    add_rig_option(command)
    command.add_argument("--view-steps", type=int, help="diffusion steps (default: the model's own, else 75)")
    add_fit_options(command)
    add_guidance_options(command)
    add_perceptual_options(command)
    command.add_argument("--resume", action="store_true", help="resume the same command after an interrupt")


def _run(options: argparse.Namespace) -> int:
    """Run the whole method on a video."""
    from ..pipeline.whole import VIEWS, run

    out, config = output_folder(options.out), config_with_networks(options)
    check_named_model(options.multiview_model, "multiview")
    check_named_model(options.guidance_model, "guidance")
    perceptual = load_perceptual(options.perceptual)
    if not options.resume:  # a resumed call has none while its views are unfinished
        announce_checkpoint(out / pipeline.CHECKPOINT, resume=False)
    refuse_own_input(Path(options.video), out / VIEWS)
    video = read_input(options, config.size)
    model = load_multiview(options.multiview_model, rig=options.rig)
    guidance = None
    if options.guidance_model is not None:
        guidance = load_guidance(options.guidance_model, pose_conditioning=options.guidance_pose)
    sampling = model.sampling
    if options.view_steps is not None:
        sampling = replace(sampling, num_steps=options.view_steps)
    with ConsoleMonitor() as monitor:
        scene, report = run(
            out,
            video,
            model,
            sampling,
            config,
            guidance=guidance,
            perceptual=perceptual,
            resume=options.resume,
            monitor=monitor,
        )
        is_done = write_outputs(out, scene, report, monitor)
    return _finish(out, report, is_done)


def _demo(options: argparse.Namespace) -> int:
    """Run the whole method on a toy whose ground truth is known."""
    config = fit_config(options)
    out = output_folder(options.out)
    multiview, guidance = load_multiview(BUNDLED_MULTIVIEW), load_guidance(BUNDLED_GUIDANCE)
    with ConsoleMonitor() as monitor:
        report = pipeline.demo(out, multiview, guidance, config, monitor=monitor)
    return _finish(out, report, report.is_finished)


def _finish(out: Path, report: pipeline.Report, is_done: bool) -> int:
    """Log where the result is; returns the exit status."""
    if is_done:
        _logger.info("open %s, or look at %s", out / "scene.html", out / "turntable.mp4")
    print_result({"scene": str(out / "scene.safetensors"), **rounded(report.metrics)})
    return 0 if is_done else EXIT_INTERRUPTED
