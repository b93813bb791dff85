"""``stag4d fit``."""

from __future__ import annotations

import argparse
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from .. import pipeline
from ..optimization import OptimizationConfig
from ..pipeline.rig_check import check_rig
from ..progress import Interrupted
from ..resume import Checkpoint
from ..scene import GaussianModel4D
from ..startup import EXIT_INTERRUPTED
from ..view_set import with_trust
from .console import ConsoleMonitor
from .fit_options import add_fit_options, add_guidance_options, add_perceptual_options, config_with_networks
from .networks import check_named_model, load_guidance, load_perceptual
from .options import add_command, add_dtype_option, device, output_folder, print_result, rounded
from .view_sources import add_source_options, read_source

_logger = logging.getLogger(__name__)


def add_fitting(commands: Any) -> None:
    """Add the command."""
    command = add_command(commands, "fit", _fit, "fit a scene to posed views of a video")
    add_source_options(command)
    command.add_argument(
        "-o",
        "--out",
        required=True,
        help="folder for scene.safetensors, scene.html, turntable.mp4, report.json and report.html",
    )
    add_fit_options(command)
    add_guidance_options(command)
    add_perceptual_options(command)
    add_dtype_option(command, "the guidance model")
    command.add_argument(
        "--trust-falloff",
        type=float,
        default=0.0,
        help="1 minus the weight of a view from the side opposite to the input camera; views between weigh "
        "in proportion to the angle (default: %(default)s)",
    )
    command.add_argument(
        "--hold-out-view", type=int, metavar="K", help="exclude posed view K from the fit and evaluate on it"
    )
    command.add_argument(
        "--resume", action="store_true", help="resume from the checkpoint of an interrupted fit in OUT"
    )


def _fit(options: argparse.Namespace) -> int:
    """Fit a scene to the images of a view folder."""
    config = config_with_networks(options)
    if options.dtype is not None and options.guidance_model is None:
        raise ValueError("--dtype: no effect without a guidance model; give --guidance-model, or omit it.")
    check_named_model(options.guidance_model, "guidance")  # before the views are read
    perceptual = load_perceptual(options.perceptual)
    out = output_folder(options.out)
    checkpoint = out / pipeline.CHECKPOINT
    with ConsoleMonitor() as monitor:
        views, order = read_source(options, monitor)
    if options.trust_falloff:
        views = with_trust(views, options.trust_falloff)
    if not options.resume:
        check_rig(views, order)
    announce_checkpoint(checkpoint, options.resume)
    fit_options: dict[str, Any] = {
        "checkpoint": Checkpoint(checkpoint, resume=options.resume),
        "device": device(),
        "compare_interrupted": True,
        "make_denoiser": _denoiser_maker(options, config),
        "perceptual": perceptual,
    }
    with ConsoleMonitor() as monitor:
        if options.hold_out_view is not None:
            model, report = pipeline.fit_without_view(
                views, options.hold_out_view, config, monitor=monitor, **fit_options
            )
        else:
            model, report = pipeline.fit(views, config, monitor=monitor, **fit_options)
        is_done = write_outputs(out, model, report, monitor)
    print_result(
        {
            "scene": str(out / "scene.safetensors"),
            "num_gaussians": report.num_gaussians,
            **rounded(report.metrics),
        }
    )
    return 0 if is_done else EXIT_INTERRUPTED


def announce_checkpoint(checkpoint: Path, resume: bool) -> None:
    """Warn if the fit will overwrite a checkpoint, or if there is none to resume from."""
    if checkpoint.exists() and not resume:
        _logger.warning(
            "%s: checkpoint of an interrupted fit, which this fit overwrites; --resume continues it.",
            checkpoint,
        )
    elif resume and not checkpoint.exists():
        _logger.warning("%s: no such checkpoint; the fit starts from the beginning.", checkpoint)


def write_outputs(
    out: Path, model: GaussianModel4D, report: pipeline.Report, monitor: ConsoleMonitor
) -> bool:
    """Write the files of a fit and remove its checkpoint; returns False if it was interrupted before that."""
    with suppress(Interrupted):
        pipeline.write_fit(out, model, report, monitor=monitor)
        if report.is_finished:
            (out / pipeline.CHECKPOINT).unlink(missing_ok=True)
            return True
    _logger.info("--resume %s.", "writes the missing files" if report.is_finished else "continues the fit")
    return False


def _denoiser_maker(options: argparse.Namespace, config: OptimizationConfig) -> pipeline.DenoiserMaker | None:
    """Return the function that prepares the guidance model; None if the options name no model."""
    if options.guidance_model is None:
        return None
    from ..pipeline.guidance import denoiser_maker  # diffusers takes seconds to import

    model = load_guidance(
        options.guidance_model, pose_conditioning=options.guidance_pose, dtype=options.dtype
    )
    return denoiser_maker(model, config.seed)
