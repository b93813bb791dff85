"""Options of the input video's alpha: its own, computed, or from another file."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from ..data import VideoClip
from ..matting import rembg_masks
from .console import ConsoleMonitor

_METHODS = ("auto", "border", "rembg", "none")


def add_matte_options(command: argparse.ArgumentParser, *aliases: str) -> None:
    """Add the options of the input video's alpha, the first under more names if some are given."""
    command.add_argument(
        "--input-mattes",
        *aliases,
        default="auto",
        metavar="{auto,border,rembg,none,PATH}",
        help="alpha of the input video. auto: its own, else from its plain border; border: from the border "
        "even if it has alpha; rembg: by that package, which downloads its weights unless --rembg-model is a "
        "file; none: its own only; PATH: a video or a folder of masks, white on the object (default: "
        "%(default)s)",
    )
    command.add_argument(
        "--rembg-model",
        default="u2net",
        metavar="NAME|FILE",
        help="model of --input-mattes rembg: a name that rembg knows, or an ONNX file of a U2-Net (default: "
        "%(default)s)",
    )
    command.add_argument(
        "--invert-mattes",
        action="store_true",
        help="the input video's own alpha or its masks are 0 on the object",
    )


def masks_path(options: argparse.Namespace) -> Path | None:
    """Return the file or folder of masks that --input-mattes names, or None if it names a method."""
    if options.input_mattes in _METHODS:
        return None
    path = Path(options.input_mattes)
    if not path.exists():
        raise ValueError(
            f"--input-mattes: {options.input_mattes!r} is no file or folder; expected one with masks, or "
            f"one of {', '.join(_METHODS)}."
        )
    return path


def input_alphas(options: argparse.Namespace, video: VideoClip) -> Tensor | None:
    """Return the alphas of a video that --input-mattes asks for.

    Args:
        options: See ``add_matte_options``.
        video: Frames with alpha if the video has its own, or ``masks_path`` was given to ``read_video``.

    Returns:
        uint8 [F, H, W]; None if they are to be computed from the border.

    Raises:
        ValueError: if the video has no alpha but needs one.
        RuntimeError: if rembg is chosen and not installed.
    """
    method, has_alpha = options.input_mattes, video.frames.shape[-1] == 4
    if method == "rembg":
        return _by_rembg(options.rembg_model, video.frames)
    if method == "border" or (method == "auto" and not has_alpha):
        if options.invert_mattes:
            raise ValueError(
                f"--invert-mattes: {options.video} has no alpha to invert; expected masks beside it, or "
                "--input-mattes PATH."
            )
        return None
    if not has_alpha:
        raise ValueError(
            f"{options.video}: has no alpha, and --input-mattes none computes none; expected a video with "
            "alpha, or another choice of --input-mattes."
        )
    alphas = video.frames[..., 3]
    return 255 - alphas if options.invert_mattes else alphas


def _by_rembg(model: str, frames: Tensor) -> Tensor:
    """Return the alphas of frames [F, H, W, 3 or 4] by rembg, uint8 [F, H, W]."""
    mask = rembg_masks(model)
    alphas = torch.empty(frames.shape[:3], dtype=torch.uint8)
    with ConsoleMonitor() as monitor:
        for index, frame in enumerate(frames):
            alphas[index] = (mask(frame[..., :3].float() / 255) * 255).round().to(torch.uint8)
            monitor("rembg", index + 1, len(frames))
    return alphas
