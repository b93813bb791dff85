"""Checkpoints of an optimization between two steps: everything that the next step depends on.

The file holds the parameters too, so that they always agree with the optimizer's moments beside them.
"""

from __future__ import annotations

import json
from typing import Any

import torch

from ..resume import Checkpoint
from ..scene import Gaussians
from .densification import GradientStatistics
from .parameters import TrainableScene
from .trainer import Trainer

CHECKPOINT_VERSION = 1
_HEADER_KEY = "stag4d_checkpoint"


def save_state(checkpoint: Checkpoint, trainer: Trainer) -> None:
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
        "losses": trainer.losses,
        "key": trainer.key,
    }
    checkpoint.save(tensors, {_HEADER_KEY: json.dumps(header)})


def load_state(checkpoint: Checkpoint, trainer: Trainer) -> bool:
    """Load a state into a trainer that was made from the same inputs; returns whether there was one.

    Args:
        checkpoint: Written by ``save_state``.
        trainer: Changed in place.

    Raises:
        ValueError: if the file is damaged, of a newer version, or belongs to other views or settings.
    """
    loaded = checkpoint.load()
    if loaded is None:
        return False
    tensors, metadata = loaded
    for name, value in tensors.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise checkpoint.error(f"{name} has values that are not finite")
    header = _checked_header(checkpoint, metadata)
    if header.get("key") != trainer.key:
        raise checkpoint.error("it belongs to other views or settings", "resume with the same ones")
    try:
        _restore(trainer, tensors)
        trainer.step, trainer.seconds = int(header["step"]), float(header["seconds"])
        trainer.losses = {name: float(value) for name, value in dict(header.get("losses", {})).items()}
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise checkpoint.error(f"a part is missing or has the wrong form ({error})") from error
    return True


def _checked_header(checkpoint: Checkpoint, metadata: dict[str, str]) -> dict[str, Any]:
    """Return the header after checking that this program wrote it and knows its version."""
    try:
        header = json.loads(metadata[_HEADER_KEY])
        version = int(header["version"])
    except (KeyError, TypeError, ValueError) as error:
        raise checkpoint.error("no checkpoint header, so it is another kind of file") from error
    if version > CHECKPOINT_VERSION:
        raise checkpoint.error(
            f"version {version}, this program reads up to {CHECKPOINT_VERSION}", "update STAG4D"
        )
    return header


def _restore(trainer: Trainer, tensors: dict[str, torch.Tensor]) -> None:
    """Load a checkpoint's tensors into a trainer."""
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
    """Return the tensors whose names begin with ``prefix.``, without that prefix."""
    return {
        name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(f"{prefix}.")
    }
