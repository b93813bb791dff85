"""Checkpoints of an optimization between two steps: everything that the next step depends on.

The file holds the parameters too, so that they always agree with the optimizer's moments beside them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..geometry.pose_json import finite_number, whole_number
from ..resume import Checkpoint
from ..scene import Gaussians
from .densification import GradientStatistics
from .history import FitHistory
from .parameters import TrainableScene
from .trainer import Trainer

CHECKPOINT_VERSION = 1
_HEADER_KEY = "stag4d_checkpoint"
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # Adam's state of a parameter


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
        "history": trainer.history.as_json(),
        "key": trainer.key,
    }
    checkpoint.save(tensors, {_HEADER_KEY: json.dumps(header)})


def load_state(checkpoint: Checkpoint, trainer: Trainer) -> bool:
    """Load a state into a trainer that was made from the same inputs; returns whether there was one.

    Args:
        checkpoint: Written by ``save_state``.
        trainer: Changed in place.

    Raises:
        CheckpointError: if the file is damaged, of a newer version, or of other views or settings; the
            trainer is unchanged.
    """
    loaded = checkpoint.load()
    if loaded is None:
        return False
    tensors, metadata = loaded
    for name, value in tensors.items():
        if value.is_floating_point() and value.dtype != torch.float32:
            raise checkpoint.error(f"{name} is {value.dtype} and not float32")
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise checkpoint.error(f"{name} has values that are not finite")
    header = _checked_header(checkpoint, metadata)
    if header.get("key") != trainer.key:
        raise checkpoint.error("it belongs to other views or settings", "resume with the same ones")
    try:
        step, seconds, losses = _progress(header, trainer.config.steps)
        history = FitHistory.from_json(header.get("history"), step)
        state = _checked_state(tensors, trainer)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise checkpoint.error(f"a part is missing or has the wrong form ({error})") from error
    _restore(trainer, state)
    trainer.step, trainer.seconds, trainer.losses, trainer.history = step, seconds, losses, history
    return True


class _State(NamedTuple):
    """The checked tensors of a checkpoint, on the CPU, and its random generator."""

    gaussians: Gaussians
    deformation: dict[str, Tensor]
    moments: dict[str, Tensor]
    statistics: GradientStatistics
    generator: torch.Generator


def _checked_header(checkpoint: Checkpoint, metadata: dict[str, str]) -> dict[str, Any]:
    """Return the header after checking that this program wrote it and knows its version."""
    try:
        header = json.loads(metadata[_HEADER_KEY])
        version = int(header["version"])
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise checkpoint.error("no checkpoint header, so it is another kind of file") from error
    if version > CHECKPOINT_VERSION:
        raise checkpoint.error(
            f"version {version}, this program reads up to {CHECKPOINT_VERSION}", "update STAG4D"
        )
    return header


def _progress(header: dict[str, Any], num_steps: int) -> tuple[int, float, dict[str, float]]:
    """Return the steps done, their seconds and the losses of the last; raises KeyError or ValueError."""
    step, seconds = whole_number(header["step"], "step"), finite_number(header["seconds"], "seconds")
    if step > num_steps:
        raise ValueError(f"step {step} of {num_steps}")
    if seconds < 0:
        raise ValueError(f"{seconds:g} seconds")
    losses = header.get("losses", {})  # missing in checkpoints of version 0.1
    return step, seconds, {name: finite_number(losses[name], f"loss {name}") for name in losses}


def _checked_state(tensors: dict[str, Tensor], trainer: Trainer) -> _State:
    """Return a checkpoint's tensors after comparing their shapes with the trainer's; changes nothing.

    Raises:
        KeyError, ValueError, RuntimeError: if a tensor is missing, or of the wrong shape or type.
    """
    gaussians = Gaussians(**_part(tensors, "gaussians"))
    if len(gaussians) == 0:
        raise ValueError("no Gaussians")
    field, found = trainer.scene.deformation, _part(tensors, "deformation")
    state = {} if field is None else field.state_dict()
    for name, value in state.items():
        _check_form(f"deformation.{name}", found[name], value.shape)
    for name, value in gaussians.as_dict().items():
        _check_form(f"gaussians.{name}", value, value.shape)
    statistics = GradientStatistics(**_part(tensors, "statistics"))
    for name in ("norm_sum", "num_seen"):
        _check_form(f"statistics.{name}", getattr(statistics, name), (len(gaussians),))
    moments = _part(tensors, "moments")
    _check_moments(moments, gaussians, trainer.scene)
    generator = torch.Generator()
    generator.set_state(tensors["generator"])
    return _State(gaussians, {name: found[name] for name in state}, moments, statistics, generator)


def _check_moments(moments: dict[str, Tensor], gaussians: Gaussians, scene: TrainableScene) -> None:
    """Raise ValueError unless there are all or no moments of each parameter, and none of another one."""
    shapes = {
        f"{group['name']}.{index}": value.shape
        for group in scene.optimizer.param_groups
        for index, value in enumerate(group["params"])
    } | {f"{name}.0": value.shape for name, value in gaussians.as_dict().items()}
    for name, value in moments.items():
        parameter, _, kind = name.rpartition(".")
        if parameter not in shapes or kind not in _MOMENTS:
            raise ValueError(f"moments.{name:.100} is of no parameter")
        _check_form(f"moments.{name}", value, () if kind == "step" else shapes[parameter])
        if kind != "exp_avg" and (value < 0).any():
            raise ValueError(f"moments.{name} is negative")
        missing = [other for other in _MOMENTS if f"{parameter}.{other}" not in moments]
        if missing:
            raise ValueError(f"moments.{parameter}.{missing[0]} is missing")


def _check_form(name: str, value: Tensor, shape: Sequence[int]) -> None:
    """Raise ValueError unless a tensor is float32 and has a shape."""
    if value.dtype != torch.float32 or value.shape != torch.Size(shape):
        raise ValueError(f"{name} is {value.dtype} {list(value.shape)}; expected float32 {list(shape)}")


def _restore(trainer: Trainer, state: _State) -> None:
    """Load a checked state into a trainer."""
    gaussians = state.gaussians.map(lambda value: value.to(trainer.device))
    field = trainer.scene.deformation
    if field is not None:
        field.load_state_dict(state.deformation)
    trainer.scene = TrainableScene(gaussians, field)
    trainer.scene.load_moments(state.moments)
    statistics = (
        value.to(trainer.device) for value in (state.statistics.norm_sum, state.statistics.num_seen)
    )
    trainer.statistics = GradientStatistics(*statistics)
    trainer.generator.set_state(state.generator.get_state())


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with ``prefix.``, without that prefix."""
    return {
        name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(f"{prefix}.")
    }
