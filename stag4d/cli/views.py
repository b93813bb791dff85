"""``stag4d multiview``: posed views of every frame of a video; ``stag4d download``: the weights for it.

diffusers takes seconds to import, so it is imported within the functions that need it.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..matting import DEFAULT_REMBG_MODEL, BackgroundRemover
from .console import ConsoleMonitor, ask, is_interactive
from .duration import add_yes_option, confirm_denoising
from .networks import check_named_model, chosen_rig, frame_size, load_multiview
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

_logger = logging.getLogger(__name__)

_LEAST_SIZE = 512  # pixels, of prepared frames whose size is not given


def add_views(commands: Any) -> None:
    """Add the commands."""
    command = add_command(commands, "multiview", _multiview, "generate six posed views of every frame")
    command.add_argument(
        "-o",
        "--out",
        required=True,
        help="view folder to write, for `stag4d fit`, with the contact sheet views.png",
    )
    command.add_argument(
        "--model",
        required=True,
        help="folder of a Zero123++ model as published, or bundled/NAME, one that ships with the package",
    )
    add_video_options(
        command, ". Generated views: with rembg by that package, otherwise from their plain border"
    )
    command.add_argument(
        "--size",
        type=int,
        help="size of the prepared frames, pixels (default: what the model's feature extractors take, and at "
        f"least {_LEAST_SIZE})",
    )
    add_rig_option(command)
    command.add_argument("--steps", type=int, help="diffusion steps (default: the model's own, else 75)")
    command.add_argument(
        "--guidance-scale",
        type=float,
        help="scale of classifier-free guidance; 0: unconditional, 1: conditional branch only, half the time "
        "(default: the model's own, else 4)",
    )
    command.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")
    command.add_argument(
        "--anchor-frame", type=int, default=0, help="frame that all others attend to (default: %(default)s)"
    )
    command.add_argument(
        "--anchor-strength",
        type=float,
        default=0.5,
        help="weight of the anchor frame's keys and values in self-attention; 0: independent frames, 1: the "
        "anchor's only (default: %(default)s)",
    )
    command.add_argument(
        "--previous-strength",
        type=float,
        default=0.0,
        help="weight of the previous frame's keys and values, as a second anchor (default: %(default)s)",
    )
    command.add_argument(
        "--separate-noise", action="store_true", help="independent noise for every frame; more flicker"
    )
    command.add_argument(
        "--share-reference-noise",
        action="store_true",
        help="the same noise on every frame's reference latents; less flicker between similar frames",
    )
    command.add_argument("--batch-size", type=int, help="frames per UNet call (default: as many as fit)")
    add_dtype_option(command, "the networks")
    command.add_argument(
        "--resume",
        action="store_true",
        help="resume the same command after an interrupt; nothing is done if it was finished",
    )
    add_yes_option(command)

    command = add_command(commands, "download", _download, "download published weights under their license")
    command.add_argument("name", choices=("zero123plus-v1.1", "zero123plus-v1.2"), help="weights to download")
    command.add_argument(
        "-o",
        "--out",
        default="models/diffusers",
        help="parent of the model folder; ComfyUI's is models/diffusers (default: %(default)s)",
    )
    command.add_argument(
        "--accept-license", action="store_true", help="agree to the license without being asked"
    )


def _download(options: argparse.Namespace) -> int:
    """Show the license, ask for consent, and download."""
    from ..diffusion.published import PUBLISHED, download_weights

    weights, out = PUBLISHED[options.name], output_folder(options.out)
    _logger.info("%s, %.1f GB from %s", options.name, weights.gigabytes, weights.repository)
    _logger.info("license: %s", weights.license)
    if not options.accept_license and not _is_agreed():
        raise ValueError("the license was not accepted, nothing was downloaded; --accept-license accepts it.")
    print_result({"folder": str(download_weights(options.name, out))})
    return 0


def _is_agreed() -> bool:
    """Ask at the terminal whether the license is accepted; False without a terminal."""
    return is_interactive() and ask("Do you accept it and download? [y/N]") in ("y", "yes")


def _multiview(options: argparse.Namespace) -> int:
    """Generate the views of a video."""
    from ..diffusion import Anchor, SamplingConfig, SeededNoise
    from ..pipeline.multiview import write_multiview

    out = output_folder(options.out)
    check_named_model(options.model, "multiview")  # before the video is read
    settings: dict[str, Any] = {
        "anchor": Anchor(options.anchor_frame, options.anchor_strength, options.previous_strength),
        "batch_size": options.batch_size,
    }
    numbers = {"num_steps": options.steps, "guidance_scale": options.guidance_scale}
    settings |= {name: number for name, number in numbers.items() if number is not None}
    config = SamplingConfig(**settings)
    noise = SeededNoise(
        options.seed, share_grid=not options.separate_noise, share_reference=options.share_reference_noise
    )
    remover = BackgroundRemover(
        "rembg" if options.mattes == "rembg" else "border", options.rembg_model or DEFAULT_REMBG_MODEL
    )
    refuse_own_input(Path(options.video), out)
    rig = chosen_rig(options.model, options.rig)
    size = frame_size(options.model, _LEAST_SIZE) if options.size is None else options.size
    video = read_input(options, size, check=config.check_num_frames)
    model = load_multiview(options.model, rig=rig, dtype=options.dtype)
    sampling, asks = replace(model.sampling, **settings), not (options.yes or options.resume)
    confirm_denoising(model, len(video), sampling, asks=asks, fewer="fewer --frames or --steps")
    with ConsoleMonitor() as monitor:
        flicker = write_multiview(
            out,
            model,
            video,
            noise,
            sampling,
            remover=remover,
            resume=options.resume,
            monitor=monitor,
        )
    _logger.info("look at %s", out / "views.png")
    print_result(
        {
            "folder": str(out),
            "frames": len(video),
            "views": len(model.grid.poses),
            "flicker": rounded(flicker),
        }
    )
    return 0
