"""What steers a fit, for the commands that fit."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import get_args

from ..optimization import OptimizationConfig, PresetName, preset
from ..rendering import select_backend
from .options import device


def add_fit_options(command: argparse.ArgumentParser) -> None:
    """Add what steers a fit."""
    command.add_argument(
        "--preset", choices=get_args(PresetName),
        help="fast: first looks; quality: slower, a little better; paper: the published numbers, needs a "
        "guidance model (default: quality on CUDA with gsplat, else fast)",
    )  # fmt: skip
    command.add_argument("--steps", type=int, help="optimisation steps (default: the preset's)")
    command.add_argument(
        "--size", type=int,
        help="render size, pixels, at most that of the larger of frames and views (default: the preset's)",
    )  # fmt: skip
    command.add_argument("--seed", type=int, default=0, help="of every random draw (default: %(default)s)")


def add_guidance_options(command: argparse.ArgumentParser) -> None:
    """Add a prior, and how it judges."""
    command.add_argument(
        "--guidance-model", metavar="DIR",
        help="folder of a Zero123 model, or bundled/NAME, one that ships with the package: unseen views are "
        "judged by it, score distillation (default: none)",
    )  # fmt: skip
    command.add_argument(
        "--guidance-weight", type=float, metavar="W", help="of score distillation (default: the preset's)"
    )
    command.add_argument(
        "--guidance-anchors", choices=("sectors", "nearest", "reference"),
        help="what the prior is told of: the frame or the view in the same sector of azimuth, as published; "
        "the picture nearest by angle; or the frame alone (default: sectors)",
    )  # fmt: skip


def fit_config(options: argparse.Namespace) -> OptimizationConfig:
    """Return the configuration that the options ask for."""
    name = options.preset
    if name is None:
        is_fast = device().type == "cuda" and select_backend(device()) == "gsplat"
        name = "quality" if is_fast else "fast"
    return preset(name, steps=options.steps, size=options.size, seed=options.seed)


def guided_config(options: argparse.Namespace) -> OptimizationConfig:
    """Return the configuration with what ``add_guidance_options`` adds; ValueError if a prior is missing."""
    config = fit_config(options)
    config.check_prior(options.guidance_model is not None)
    asked = {"weight": options.guidance_weight, "anchors": options.guidance_anchors}
    given = {name: value for name, value in asked.items() if value is not None}
    if given and options.guidance_model is None:
        names = ", ".join(f"--guidance-{name}" for name in given)
        raise ValueError(f"{names}: no prior to steer; give --guidance-model, or leave it out.")
    return replace(config, guidance=replace(config.guidance, **given))
