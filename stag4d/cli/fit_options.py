"""Options of a fit, for the commands that fit."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import get_args

from ..optimization import OptimizationConfig, PresetName, auto_preset, preset
from .options import device


def add_fit_options(command: argparse.ArgumentParser, steps: int | None = None) -> None:
    """Add the options of a fit; ``steps`` is the default of ``--steps``, None for the preset's."""
    command.add_argument(
        "--preset",
        choices=get_args(PresetName),
        help="fast: previews; quality: slower, a little better; paper: the published settings, needs a "
        "guidance model (default: quality on CUDA, else fast)",
    )
    default = "the preset's" if steps is None else str(steps)
    command.add_argument("--steps", type=int, default=steps, help=f"optimization steps (default: {default})")
    command.add_argument(
        "--size",
        type=int,
        help="render size, pixels; at most the larger of frame and view size (default: the preset's)",
    )
    command.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")


def add_guidance_options(command: argparse.ArgumentParser) -> None:
    """Add the options of score distillation."""
    command.add_argument(
        "--guidance-model",
        metavar="DIR",
        help="folder of a Zero123 model, or bundled/NAME, one that ships with the package; it supervises "
        "random novel views by score distillation (default: none)",
    )
    command.add_argument(
        "--guidance-weight",
        type=float,
        metavar="W",
        help="weight of the score distillation loss (default: the preset's)",
    )
    command.add_argument(
        "--guidance-anchors",
        choices=("sectors", "nearest", "reference"),
        help="conditioning image: the frame or the view in the same sector of azimuth, as published; the "
        "image nearest by angle; or the frame alone (default: sectors)",
    )
    command.add_argument(
        "--guidance-pose",
        choices=("zero123", "stable-zero123"),
        help="pose conditioning of the guidance model: the last pose number is the difference of the radii, "
        "as in Zero123-XL, or the polar angle of the conditioning image, as in Stable-Zero123 (default: from "
        "the folder's files; else zero123 is assumed, with a message)",
    )


def add_perceptual_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the perceptual loss."""
    command.add_argument(
        "--perceptual",
        action="append",
        default=[],
        metavar="FILE",
        help="weights of LPIPS, which is then part of the losses; twice if backbone (torchvision's VGG16 or "
        "AlexNet) and heads (of the package lpips) are two files (default: no perceptual loss)",
    )
    command.add_argument(
        "--perceptual-weight",
        type=float,
        metavar="W",
        help="weight of the perceptual loss, relative to that of color; 0.05 to 0.2 is common (default: the "
        "preset's)",
    )


def fit_config(options: argparse.Namespace) -> OptimizationConfig:
    """Return the configuration with the options of a fit."""
    name = options.preset or auto_preset(device())
    return preset(name, steps=options.steps, size=options.size, seed=options.seed)


def config_with_networks(options: argparse.Namespace) -> OptimizationConfig:
    """Return the configuration with the options of a fit, of score distillation and of the perceptual loss.

    Raises:
        ValueError: if the options need a network and name none.
    """
    config = fit_config(options)
    config.check_guidance(options.guidance_model is not None)
    values = {"weight": options.guidance_weight, "anchors": options.guidance_anchors}
    given = {name: value for name, value in values.items() if value is not None}
    unused = [*given] if options.guidance_pose is None else [*given, "pose"]
    if unused and options.guidance_model is None:
        names = ", ".join(f"--guidance-{name}" for name in unused)
        raise ValueError(f"{names}: no effect without a guidance model; give --guidance-model, or omit it.")
    config = replace(config, guidance=replace(config.guidance, **given))
    if options.perceptual_weight is None:
        return config
    if not options.perceptual:
        raise ValueError(
            "--perceptual-weight: no effect without weights of LPIPS; give --perceptual, or omit it."
        )
    return replace(config, losses=replace(config.losses, perceptual=options.perceptual_weight))
