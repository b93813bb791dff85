"""What steers a fit, for the commands that fit."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import get_args

import torch

from ..optimization import OptimizationConfig, PresetName, preset


def add_fit_options(command: argparse.ArgumentParser) -> None:
    """Add what steers a fit."""
    command.add_argument(
        "--preset", choices=get_args(PresetName),
        help="fast: first looks; quality: slower and better; paper: the published numbers, needs a guidance "
        "model (default: fast on a CPU, quality on CUDA)",
    )  # fmt: skip
    command.add_argument("--steps", type=int, help="optimisation steps (default: the preset's)")
    command.add_argument(
        "--size", type=int, help="render size, pixels (default: the preset's, at most the views')"
    )
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
        "--guidance-anchors", choices=("sectors", "nearest", "reference"), default="sectors",
        help="what the prior is told of: the frame or the view in the same sector of azimuth, as published; "
        "the picture nearest by angle; or the frame alone (default: %(default)s)",
    )  # fmt: skip


def fit_config(options: argparse.Namespace) -> OptimizationConfig:
    """Return the configuration that the options ask for."""
    name = options.preset
    if name is None:
        name = "quality" if torch.cuda.is_available() else "fast"
    return preset(name, steps=options.steps, size=options.size, seed=options.seed)


def guided_config(options: argparse.Namespace) -> OptimizationConfig:
    """Return the configuration with what ``add_guidance_options`` adds; ValueError if a prior is missing."""
    config = fit_config(options)
    guidance = replace(config.guidance, anchors=options.guidance_anchors)
    if options.guidance_weight is not None:
        guidance = replace(guidance, weight=options.guidance_weight)
    config = replace(config, guidance=guidance)
    config.check_prior(options.guidance_model is not None)
    return config
