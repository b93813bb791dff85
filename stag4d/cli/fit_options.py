"""What steers a fit, for the commands that fit."""

from __future__ import annotations

import argparse

import torch

from ..optimization import OptimizationConfig, preset


def add_fit_options(command: argparse.ArgumentParser) -> None:
    """Add what steers a fit."""
    command.add_argument(
        "--preset", choices=("fast", "paper", "quality"),
        help="fast: first looks; quality: slower and better; paper: the published numbers, needs a guidance "
        "model (default: fast on a CPU, quality on CUDA)",
    )  # fmt: skip
    command.add_argument("--steps", type=int, help="optimisation steps (default: the preset's)")
    command.add_argument(
        "--size", type=int, help="render size, pixels (default: the preset's, at most the views')"
    )
    command.add_argument("--seed", type=int, default=0, help="of every random draw (default: %(default)s)")


def fit_config(options: argparse.Namespace) -> OptimizationConfig:
    """Return the configuration that the options ask for."""
    name = options.preset
    if name is None:
        name = "quality" if torch.cuda.is_available() else "fast"
    return preset(name, steps=options.steps, size=options.size, seed=options.seed)
