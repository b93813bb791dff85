"""``stag4d multiview``: from a clip to posed views of every frame; ``stag4d download``: the weights for it.

diffusers takes seconds to import, so only the command itself does.
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..data import read_video
from ..matting import prepare_frames, rembg_remover, remove_background
from ..pipeline import DTYPES, model_folder
from .console import Interrupt, StageBars, stage_listeners
from .networks import load_multiview
from .options import (
    add_clip_options,
    add_command,
    frame_rate,
    output_folder,
    refuse_own_input,
    rounded,
    say,
)

_logger = logging.getLogger(__name__)


def add_views(commands: Any) -> None:
    """Add the commands."""
    command = add_command(commands, "multiview", _multiview, "draw six posed views of every frame of a clip")
    command.add_argument(
        "-o",
        "--out",
        required=True,
        help="view folder to write; `stag4d fit` reads it. Gets views.png to look at",
    )
    command.add_argument(
        "--model", required=True,
        help="folder of a Zero123++ model as published, or bundled/NAME, one that ships with the package",
    )  # fmt: skip
    add_clip_options(command)
    command.add_argument(
        "--size", type=int, default=512, help="of the prepared frames, pixels (default: %(default)s)"
    )
    command.add_argument(
        "--rig", choices=("v1.1", "v1.2"),
        help="where the model puts its views (default: what its folder says, or its name, or v1.1)",
    )  # fmt: skip
    command.add_argument(
        "--steps", type=int, help="diffusion steps (default: what the model's folder says, else 75)"
    )
    command.add_argument(
        "--guidance-scale", type=float,
        help="how closely views follow the frame: 0 not at all; 1 is plain, in half the time (default: what "
        "the model's folder says, else 4)",
    )  # fmt: skip
    command.add_argument("--seed", type=int, default=0, help="of every random draw (default: %(default)s)")
    command.add_argument(
        "--anchor-frame", type=int, default=0, help="the frame that the others follow (default: %(default)s)"
    )
    command.add_argument(
        "--anchor-strength", type=float, default=0.5,
        help="0: every frame for itself; 1: all attend to the anchor frame only (default: %(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--previous-strength", type=float, default=0.0,
        help="share of the previous frame, a second anchor (default: %(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--separate-noise", action="store_true", help="start every frame from noise of its own; flickers more"
    )
    command.add_argument(
        "--share-reference-noise", action="store_true",
        help="add the same noise to every frame's reference; flickers less where frames are alike",
    )  # fmt: skip
    command.add_argument("--batch-size", type=int, help="frames at once (default: as many as fit)")
    command.add_argument(
        "--dtype", choices=tuple(DTYPES), help="of the networks (default: float16 on CUDA, else float32)"
    )
    command.add_argument(
        "--mattes", choices=("border", "rembg"), default="border",
        help="of the views: from their plain border, or by rembg, which downloads its weights "
        "(default: %(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--resume", action="store_true",
        help="go on from what the same command left when it was interrupted; if it was finished, do nothing",
    )  # fmt: skip

    command = add_command(commands, "download", _download, "fetch published weights, once you have agreed")
    command.add_argument("name", choices=("zero123plus-v1.1", "zero123plus-v1.2"), help="which ones")
    command.add_argument(
        "-o", "--out", default="models/diffusers",
        help="folder that gets a folder of that name; a host keeps them in models/diffusers (default: "
        "%(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--accept-license", action="store_true", help="agree to the licence shown without being asked"
    )


def _download(options: argparse.Namespace) -> int:
    """Show a licence, ask, and download."""
    from ..diffusion.published import PUBLISHED, download_weights

    weights, out = PUBLISHED[options.name], output_folder(options.out)
    _logger.info("%s, %.1f GB from %s", options.name, weights.gigabytes, weights.repository)
    _logger.info("licence: %s", weights.licence)
    if not options.accept_license and not _is_agreed():
        raise ValueError("the licence was not accepted, nothing was downloaded; --accept-license accepts it.")
    say({"folder": str(download_weights(options.name, out))})
    return 0


def _is_agreed() -> bool:
    """Ask at the terminal; where there is none, the answer is no."""
    if not sys.stdin.isatty():
        return False
    sys.stderr.write("Do you accept it and download? [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _multiview(options: argparse.Namespace) -> int:
    """Draw the views of a clip."""
    from ..diffusion import Anchor, SamplingConfig, SeededNoise
    from ..pipeline.multiview import write_multiview

    out = output_folder(options.out)
    model_folder(options.model, "multiview")  # a wrong name is told before the clip is read; so are numbers
    asked: dict[str, Any] = {
        "anchor": Anchor(options.anchor_frame, options.anchor_strength, options.previous_strength),
        "batch_size": options.batch_size,
    }
    numbers = {"num_steps": options.steps, "guidance_scale": options.guidance_scale}
    asked |= {name: number for name, number in numbers.items() if number is not None}
    config = SamplingConfig(**asked)
    noise = SeededNoise(
        options.seed, share_grid=not options.separate_noise, share_reference=options.share_reference_noise
    )
    cut = rembg_remover() if options.mattes == "rembg" else remove_background
    refuse_own_input(Path(options.clip), out)
    clip = read_video(options.clip, options.frames)
    config.check_clip(len(clip.frames))
    fps = frame_rate(clip.fps if options.fps is None else options.fps)
    images, alphas = prepare_frames(clip.frames, size=options.size, margin=options.margin, names=clip.names)
    del clip  # a long one of large frames takes more than the rest
    model = load_multiview(options.model, rig=options.rig, dtype=options.dtype)
    with StageBars(encode="frame", denoise="step", decode="frame") as bars, Interrupt() as stop:
        flicker = write_multiview(
            out,
            model,
            images,
            alphas,
            noise,
            replace(model.sampling, **asked),
            input_elevation_deg=options.input_elevation,
            fps=fps,
            cut=cut,
            resume=options.resume,
            **stage_listeners(bars, stop),
        )
    _logger.info("look at %s", out / "views.png")
    say(
        {
            "folder": str(out),
            "frames": len(images),
            "views": len(model.grid.poses),
            "flicker": rounded(flicker),
        }
    )
    return 0
