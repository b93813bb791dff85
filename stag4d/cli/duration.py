"""Consent to work that takes hours on a CPU: how long it takes, and whether to start it."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING

from .console import ask, is_interactive

if TYPE_CHECKING:
    from ..diffusion import MultiViewModel, SamplingConfig

_logger = logging.getLogger(__name__)

LONG_SECONDS = 3600.0  # from which on the user is asked


def add_yes_option(command: argparse.ArgumentParser) -> None:
    """Add the option that starts long work without asking."""
    command.add_argument(
        "--yes",
        action="store_true",
        help="start without asking, also if generating the views takes more than an hour on a CPU; nobody is "
        "asked without a terminal",
    )


def confirm_denoising(
    model: MultiViewModel, num_frames: int, config: SamplingConfig, *, asks: bool, fewer: str
) -> None:
    """Say how long denoising takes on a CPU, and ask whether to start if it takes more than an hour.

    Without a terminal, as in a script or a job of a cluster, nobody can answer: the work starts.

    Args:
        model: Multi-view model.
        num_frames: Number of frames.
        config: Steps and guidance scale.
        asks: Whether to ask, if it takes long.
        fewer: Options that make it shorter.

    Raises:
        ValueError: if the user does not agree.
    """
    from ..diffusion import denoising_seconds  # diffusers takes seconds to import

    seconds = denoising_seconds(model, num_frames, config)
    if seconds is None:
        return
    message = (
        f"denoising {num_frames} frames in {config.num_steps} steps takes about {_in_words(seconds)} on this "
        "CPU, by the time of a small pass through the UNet"
    )
    if seconds <= LONG_SECONDS:
        _logger.info("%s.", message)
        return
    _logger.warning("%s; %s or a GPU makes it shorter, and --resume continues it.", message, fewer)
    if asks and is_interactive() and ask("Do you want to start it? [y/N]") not in ("y", "yes"):
        raise ValueError(f"not started, since it takes about {_in_words(seconds)}; --yes starts it.")


def _in_words(seconds: float) -> str:
    """Return a duration in minutes or hours."""
    if seconds < LONG_SECONDS:
        return f"{max(round(seconds / 60), 1)} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 10 else f"{hours:.0f} h"
