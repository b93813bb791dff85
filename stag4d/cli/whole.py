"""``stag4d run``: the whole method on a video; ``stag4d demo``: on a toy whose ground truth is known.

diffusers takes seconds to import, so it is imported within the functions that need it.
"""

from __future__ import annotations

import argparse
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import pipeline
from ..startup import EXIT_INTERRUPTED
from .console import ConsoleMonitor
from .duration import add_yes_option, confirm_denoising
from .fit_options import (
    add_fit_options,
    add_guidance_options,
    add_perceptual_options,
    config_with_networks,
    fit_config,
)
from .fitting import announce_checkpoint, write_outputs
from .networks import (
    check_guidance,
    check_named_model,
    chosen_rig,
    frame_size,
    load_guidance,
    load_multiview,
    load_perceptual,
)
from .options import (
    add_command,
    add_dtype_option,
    add_rig_option,
    add_video_options,
    output_folder,
    print_result,
    read_input,
    refuse_own_input,
    rounded,
)

if TYPE_CHECKING:
    from ..diffusion import MultiViewModel, SamplingConfig

_logger = logging.getLogger(__name__)

DEMO_STEPS = 600  # views of 64 pixels need fewer steps than the presets take
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
    add_dtype_option(command, "the multi-view and the guidance model")
    command.add_argument("--resume", action="store_true", help="resume the same command after an interrupt")
    add_yes_option(command)


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
    rig = chosen_rig(options.multiview_model, options.rig)
    check_guidance(options.guidance_model, options.guidance_pose)  # it is loaded after the views
    video = read_input(options, frame_size(options.multiview_model, config.size))
    load = partial(load_multiview, options.multiview_model, rig=rig, dtype=options.dtype)
    load_prior = None
    if options.guidance_model is not None:
        load_prior = partial(
            load_guidance,
            options.guidance_model,
            pose_conditioning=options.guidance_pose,
            dtype=options.dtype,
        )
    asks = not (options.yes or options.resume)
    with ConsoleMonitor() as monitor:

        def confirm(model: MultiViewModel, sampling: SamplingConfig) -> None:
            with monitor.paused():
                fewer = "fewer --frames or --view-steps"
                confirm_denoising(model, len(video), sampling, asks=asks, fewer=fewer)

        scene, report = run(
            out,
            video,
            load,
            config,
            view_steps=options.view_steps,
            confirm=confirm,
            load_guidance=load_prior,
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
