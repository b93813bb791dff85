"""Import of deformation fields that the official STAG4D code saved.

How its network (zeng-yifei/STAG4D, ``deform.py``) differs from ours:

- Its box is given as the corner (b, b, b), then (-b, -b, -b), so that it samples its planes at -p / b. Here
  they are mirrored along every spatial axis and sampled at p / b.
- Frame f of F has the time f / F, which it uses as a coordinate on planes that span -1..1: their first half
  is never sampled. The planes stay as they are, and the imported field's time mapping is the official one.
- Offsets of means, log scales and quaternions are added to the raw parameters, as ours are. The file holds an
  opacity head too, but the network is built with it disabled, and ``timenet`` and the ``*_poc`` buffers are
  never read: opacities and colors are static. None of these is imported.
"""

from __future__ import annotations

import itertools
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..regular_file import check_regular_file
from ..state_dict import load_pickle
from .deformation import Deformation, FieldConfig

_DEFAULT_BOUND = 1.6  # half extent of the official box
_PLANES = tuple(itertools.combinations("xyzt", 2))  # axes of a level's planes, in the official order
_SPATIAL = [index for index, axes in enumerate(_PLANES) if "t" not in axes]  # (x, y), (x, z), (y, z)
_TEMPORAL = [index for index, axes in enumerate(_PLANES) if "t" in axes]  # x, y, z over time
_HEADS = {  # our name: (official name, number of outputs); both are ReLU-Linear-ReLU-Linear
    "means_head": ("pos_deform", 3),
    "log_scales_head": ("scales_deform", 3),
    "quats_head": ("rotations_deform", 4),
}


def read_official_deformation(path: str | Path, num_frames: int) -> Deformation:
    """Read the ``deformation.pth`` of the official STAG4D code.

    Args:
        path: The file, a state dict; pickled code in it is never executed.
        num_frames: Frames F that the network was trained with (``size`` in its configuration, which is not in
            the file): our time of frame f is f / (F - 1), the network's is f / F.

    Returns:
        A field with the same motion, on the CPU, without gradients.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds anything but tensors, is damaged, or belongs to another network.
    """
    if num_frames < 1:
        raise ValueError(f"official deformation: {num_frames} frames; expected at least one.")
    weights = _OfficialWeights(path, _read_tensors(Path(path)))
    bound, is_mirrored = _box(weights)
    channels = weights.take("grid.grids.0.0", 1, None, None, None).shape[1]
    time_resolution = weights.take(f"grid.grids.0.{_TEMPORAL[0]}", 1, channels, None, None).shape[2]
    state, resolutions = {}, []
    for level in range(weights.num_levels):
        spatial, temporal = _planes(weights, level, channels, time_resolution)
        state[f"hexplane.spatial_planes.{level}"] = spatial.flip(2, 3) if is_mirrored else spatial
        state[f"hexplane.time_planes.{level}"] = temporal.flip(3) if is_mirrored else temporal
        resolutions.append(spatial.shape[-1])
    state |= _layers(weights, num_features=channels * len(resolutions))
    config = FieldConfig(
        resolutions=tuple(resolutions),
        time_resolution=time_resolution,
        num_channels=channels,
        width=len(state["trunk.bias"]),
        bound=bound,
    )
    field = Deformation(config, torch.Generator(), time_scale=(num_frames - 1) / num_frames, time_offset=0.0)
    field.load_state_dict(state)
    return field.requires_grad_(False)


class _OfficialWeights:
    """The tensors of an official file by their names inside the network, checked on access.

    Args:
        path: The file, for error messages.
        tensors: Its state dict; names may have any common prefix, ``deformation_net.`` as the code writes it.
    """

    def __init__(self, path: str | Path, tensors: Mapping[str, object]) -> None:
        known = "grid.grids.0.0"
        prefixes = [name[: -len(known)] for name in tensors if name.endswith(known)]
        self.subject = f"official deformation {path}"
        self._prefix = prefixes[0] if prefixes else "deformation_net."
        self._tensors = tensors

    def __contains__(self, name: str) -> bool:
        """Return whether there is an entry of that name."""
        return self._prefix + name in self._tensors

    @property
    def num_levels(self) -> int:
        """Return the number of plane levels, from the names."""
        numbers = re.compile(re.escape(self._prefix) + r"grid\.grids\.(\d+)\.\d+")
        return 1 + max(int(match[1]) for name in self._tensors if (match := numbers.fullmatch(name)))

    def take(self, name: str, *shape: int | None) -> Tensor:
        """Return a tensor as float32.

        Args:
            name: Its name without the prefix.
            shape: Expected lengths of its axes; None for any.

        Raises:
            ValueError: if it is missing, has another shape, or is not finite.
        """
        subject, value = f"{self.subject}: {self._prefix}{name}", self._tensors.get(self._prefix + name)
        if not isinstance(value, Tensor):
            raise ValueError(f"{subject} is missing; expected the state dict of STAG4D's network.")
        if not _is_plain(value):
            raise ValueError(f"{subject} is not stored number by number; expected floating-point numbers.")
        lengths = zip(shape, value.shape, strict=False)
        if value.ndim != len(shape) or any(expected not in (None, found) for expected, found in lengths):
            listed = ", ".join("any" if length is None else str(length) for length in shape)
            raise ValueError(f"{subject} has shape {list(value.shape)}; expected [{listed}].")
        if not torch.isfinite(value).all():
            raise ValueError(f"{subject} holds numbers that are not finite; the file is damaged.")
        return value.detach().float().clone()  # the file stays mapped as long as one of its tensors is used


def _read_tensors(path: Path) -> Mapping[str, object]:
    """Return the state dict in a file; only tensors and plain values are unpickled."""
    subject = f"official deformation {path}"
    check_regular_file(path, subject, "the deformation.pth that STAG4D saved")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{subject}: not an archive of torch.save, or truncated; expected a .pth file.")
    return load_pickle(path, subject)


def _is_plain(value: Tensor) -> bool:
    """Return whether a tensor has its own stored number for each element, so that its size is the file's."""
    if value.layout != torch.strided or value.device.type != "cpu" or not value.is_floating_point():
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _box(weights: _OfficialWeights) -> tuple[float, bool]:
    """Return the half extent of the box, and whether its coordinates have the opposite sign of ours."""
    if "grid.aabb" not in weights:
        return _DEFAULT_BOUND, True
    corners = weights.take("grid.aabb", 2, 3)
    bound = corners[0, 0].item()
    if bound == 0 or not torch.allclose(corners, corners.new_tensor([[bound], [-bound]]).expand(2, 3)):
        raise ValueError(f"{weights.subject}: the box is {corners.tolist()}; expected a cube around 0.")
    return abs(bound), bound > 0


def _planes(
    weights: _OfficialWeights, level: int, channels: int, time_resolution: int
) -> tuple[Tensor, Tensor]:
    """Return a level's spatial planes [3, C, R, R] and time planes [3, C, K, R], in HexPlane's order."""
    prefix = f"grid.grids.{level}"
    size = weights.take(f"{prefix}.0", 1, channels, None, None).shape[-1]
    spatial = [weights.take(f"{prefix}.{index}", 1, channels, size, size) for index in _SPATIAL]
    temporal = [weights.take(f"{prefix}.{index}", 1, channels, time_resolution, size) for index in _TEMPORAL]
    return torch.cat(spatial), torch.cat(temporal)


def _layers(weights: _OfficialWeights, num_features: int) -> dict[str, Tensor]:
    """Return the weights and biases of the trunk and the heads under our names."""
    if "feature_out.2.weight" in weights:
        raise ValueError(f"{weights.subject}: feature_out has several layers; expected one, as STAG4D's has.")
    width = weights.take("feature_out.0.weight", None, num_features).shape[0]
    layers = [("trunk", "feature_out.0", width, num_features)]
    for ours, (theirs, num_out) in _HEADS.items():
        layers.append((f"{ours}.1", f"{theirs}.1", width, width))
        layers.append((f"{ours}.3", f"{theirs}.3", num_out, width))
    tensors = {}
    for ours, theirs, num_out, num_in in layers:
        tensors[f"{ours}.weight"] = weights.take(f"{theirs}.weight", num_out, num_in)
        tensors[f"{ours}.bias"] = weights.take(f"{theirs}.bias", num_out)
    return tensors
