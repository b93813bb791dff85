"""Options of the input video's alpha: its own, computed, or from masks."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from ..data import VideoClip
from ..matting import DEFAULT_REMBG_MODEL, rembg_masks
from .console import ConsoleMonitor

_METHODS = ("border", "rembg", "none")


def add_alpha_options(command: argparse.ArgumentParser, generated_views: str = "") -> None:
    """Add the options of the input video's alpha.

    Args:
        command: The command.
        generated_views: What ``--mattes`` means for the views that the command generates, for its help.
    """
    command.add_argument(
        "--mattes",
        default="border",
        metavar="{border,rembg,none,PATH}",
        help="alpha of an input video without alpha and masks of its own. border: from its plain border; "
        "rembg: by that package, which downloads its weights on first use; none: an error; "
        "PATH: a video or a folder of masks, white on the object, also in place of its own"
        f"{generated_views} (default: %(default)s)",
    )
    command.add_argument(
        "--rembg-model",
        metavar="NAME|FILE",
        help="model of --mattes rembg: a name that rembg knows, or an ONNX file of a "
        f"U2-Net, for which nothing is downloaded (default: {DEFAULT_REMBG_MODEL})",
    )
    command.add_argument(
        "--invert-mattes",
        action="store_true",
        help="the input video's own alpha, or its masks, are 0 on the object",
    )


def masks_path(options: argparse.Namespace) -> Path | None:
    """Return the file or folder of masks that ``--mattes`` names, or None if it names a method.

    Raises:
        ValueError: if there is no such file or folder, or ``--rembg-model`` is given for another method.
    """
    if options.rembg_model is not None and options.mattes != "rembg":
        raise ValueError(
            f"--rembg-model: {options.rembg_model!r} with --mattes {options.mattes}; expected --mattes rembg."
        )
    if options.mattes in _METHODS:
        return None
    path = Path(options.mattes)
    if not path.exists():
        raise ValueError(
            f"--mattes: {options.mattes!r} is no file or folder; expected one with masks, or "
            f"one of {', '.join(_METHODS)}."
        )
    return path


def input_alphas(options: argparse.Namespace, video: VideoClip) -> Tensor | None:
    """Return the alphas of a video that ``--mattes`` asks for.

    Args:
        options: See ``add_alpha_options``.
        video: Frames with alpha if the video has its own, or ``masks_path`` was given to ``read_video``.

    Returns:
        uint8 [F, H, W]; None if they are to be computed from the border.

    Raises:
        ValueError: if the video has no alpha but needs one.
        FileNotFoundError: if there is no such file of a model.
        RuntimeError: if rembg is needed and not installed.
    """
    if video.frames.shape[-1] == 4:
        alphas = video.frames[..., 3]
        return 255 - alphas if options.invert_mattes else alphas
    if options.mattes == "none":
        raise ValueError(
            f"{options.video}: has no alpha, and --mattes none computes none; expected a video with "
            "alpha or masks, or another choice of --mattes."
        )
    if options.invert_mattes:
        raise ValueError(
            f"--invert-mattes: {options.video} has no alpha to invert, and --mattes {options.mattes} makes "
            "it 1 on the object; expected a video with alpha or masks, or --mattes PATH."
        )
    if options.mattes == "rembg":
        return _by_rembg(options.rembg_model or DEFAULT_REMBG_MODEL, video.frames)
    return None


def _by_rembg(model: str, frames: Tensor) -> Tensor:
    """Return the alphas of frames [F, H, W, 3] by rembg, uint8 [F, H, W]."""
    mask = rembg_masks(model)
    alphas = torch.empty(frames.shape[:3], dtype=torch.uint8)
    with ConsoleMonitor() as monitor:
        monitor("rembg", 0, len(frames))
        for index, frame in enumerate(frames):
            alphas[index] = (mask(frame.float() / 255) * 255).round().to(torch.uint8)
            monitor("rembg", index + 1, len(frames))
    return alphas
