"""A fit on disk between two steps: everything that the next step depends on, in one safetensors file.

The file holds the parameters too, so that they can never disagree with the optimiser's moments beside them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from ..scene import Gaussians
from ..scene.files import read_tensors, write_tensors
from .densification import GradientStatistics
from .parameters import TrainableScene
from .trainer import Trainer

CHECKPOINT_VERSION = 1
_HEADER_KEY = "stag4d_checkpoint"


def save_checkpoint(path: str | Path, trainer: Trainer) -> None:
    """Write a trainer's state atomically; raises RuntimeError if it cannot be written."""
    scene = trainer.scene
    tensors = {f"gaussians.{name}": value for name, value in scene.gaussians.as_dict().items()}
    if scene.deformation is not None:
        tensors |= {f"deformation.{name}": value for name, value in scene.deformation.state_dict().items()}
    tensors |= {f"moments.{name}": value for name, value in scene.moments().items()}
    tensors["statistics.norm_sum"] = trainer.statistics.norm_sum
    tensors["statistics.num_seen"] = trainer.statistics.num_seen
    tensors["generator"] = trainer.generator.get_state()
    header = {
        "version": CHECKPOINT_VERSION,
        "step": trainer.step,
        "seconds": trainer.seconds,
        "key": trainer.key,
    }
    write_tensors(path, tensors, {_HEADER_KEY: json.dumps(header)})


def load_checkpoint(path: str | Path, trainer: Trainer) -> None:
    """Put a saved state into a trainer that was made from the same views and configuration.

    Args:
        path: A file that ``save_checkpoint`` wrote.
        trainer: Changed in place.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is corrupt, of a newer version, or belongs to other views or settings.
    """
    try:
        tensors, metadata = read_tensors(path, "checkpoint")
    except ValueError as error:
        raise ValueError(f"{error} Delete it to start from the beginning.") from error
    header = _checked_header(path, metadata)
    if header.get("key") != trainer.key:
        raise ValueError(
            f"checkpoint {path}: it belongs to other views or settings; resume with the same ones, or delete "
            "it to start from the beginning."
        )
    try:
        _restore(trainer, tensors)
        trainer.step, trainer.seconds = int(header["step"]), float(header["seconds"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"checkpoint {path}: a part is missing or has the wrong form ({error}); delete it to start from "
            "the beginning."
        ) from error


def _checked_header(path: str | Path, metadata: dict[str, str]) -> dict[str, Any]:
    """Return the header after checking that it is ours and not from the future."""
    try:
        header = json.loads(metadata[_HEADER_KEY])
        version = int(header["version"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"checkpoint {path}: no checkpoint header; expected a file that a fit wrote."
        ) from error
    if version > CHECKPOINT_VERSION:
        raise ValueError(
            f"checkpoint {path}: version {version}, this program reads up to {CHECKPOINT_VERSION}; "
            "update STAG4D."
        )
    return header


def _restore(trainer: Trainer, tensors: dict[str, torch.Tensor]) -> None:
    """Put a checkpoint's tensors into a trainer."""
    parts = {
        prefix: _part(tensors, prefix) for prefix in ("gaussians", "deformation", "moments", "statistics")
    }
    device = trainer.device
    gaussians = Gaussians(**parts["gaussians"]).map(lambda value: value.to(device))
    if trainer.scene.deformation is not None:
        trainer.scene.deformation.load_state_dict(parts["deformation"])
    trainer.scene = TrainableScene(gaussians, trainer.scene.deformation)
    trainer.scene.load_moments(parts["moments"])
    trainer.statistics = GradientStatistics(
        **{name: value.to(device) for name, value in parts["statistics"].items()}
    )
    trainer.generator.set_state(tensors["generator"])


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors whose names begin with ``prefix.``, without it."""
    return {
        name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(f"{prefix}.")
    }
