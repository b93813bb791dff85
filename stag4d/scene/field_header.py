"""The deformation field in the header of a scene file.

The file is untrusted: all sizes are compared with its tensors before memory is allocated for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..geometry.pose_json import describe, finite_number, whole_number
from .deformation import Deformation, FieldConfig, parameter_shapes

_MAX_TIME_FACTOR = 1e6  # of the scale and offset of the time map; ours are 2 and -1
_WHOLE_SIZES = ("time_resolution", "num_channels", "width")


def read_deformation(header: object, weights: Mapping[str, Tensor]) -> Deformation:
    """Return the deformation field that a header describes, with its weights.

    Args:
        header: ``config``, the sizes; ``time_scale`` and ``time_offset``, see ``Deformation``.
        weights: The parameters by name.

    Raises:
        KeyError, TypeError, ValueError: if an entry is malformed, or sizes differ from those of the weights.
    """
    entries = _object(header, "field")
    config = _read_config(entries["config"], len(weights))
    time_map = {name: finite_number(entries[name], name) for name in ("time_scale", "time_offset")}
    for name, value in time_map.items():
        if abs(value) > _MAX_TIME_FACTOR:
            raise ValueError(f"{name} is {value:g}; expected at most {_MAX_TIME_FACTOR:g}")
    _check_shapes(config, weights)
    deformation = Deformation(config, torch.Generator(), **time_map)
    deformation.load_state_dict(dict(weights))
    return deformation.requires_grad_(False)


def _read_config(value: object, num_weights: int) -> FieldConfig:
    """Return the sizes of a field after checking their types and ranges."""
    sizes = dict(_object(value, "config"))
    resolutions = sizes["resolutions"]
    if not isinstance(resolutions, list):
        raise TypeError(f"resolutions is {describe(resolutions)}; expected an array")
    if len(resolutions) > num_weights:
        raise ValueError(f"resolutions has {len(resolutions)} levels, but the field {num_weights} tensors")
    sizes["resolutions"] = tuple(whole_number(entry, "resolutions") for entry in resolutions)
    sizes |= {name: whole_number(sizes[name], name) for name in _WHOLE_SIZES if name in sizes}
    if "bound" in sizes:
        sizes["bound"] = finite_number(sizes["bound"], "bound")
    if not isinstance(sizes.get("deform_scales", True), bool):
        raise TypeError(f"deform_scales is {describe(sizes['deform_scales'])}; expected true or false")
    return FieldConfig(**sizes)


def _check_shapes(config: FieldConfig, weights: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless the weights are those of a field of these sizes."""
    expected = parameter_shapes(config)
    for name, shape in expected.items():
        if name not in weights:
            raise ValueError(f"deformation.{name} is missing")
        if tuple(weights[name].shape) != shape:
            raise ValueError(
                f"deformation.{name} has shape {list(weights[name].shape)}; expected {list(shape)}, as the "
                "header says"
            )
    unknown = next((name for name in weights if name not in expected), None)
    if unknown is not None:
        raise ValueError(f"deformation.{unknown:.100} is no part of a field of these sizes")


def _object(value: object, name: str) -> dict[str, Any]:
    """Return a JSON object; raises TypeError with its name if it is anything else."""
    if not isinstance(value, dict):
        raise TypeError(f"{name} is {describe(value)}; expected an object")
    return value
