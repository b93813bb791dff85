"""Read ``.s4d`` files in tests and tools; the viewer has its own reader. ``writer`` specifies the format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...geometry import OrbitPose
from ...geometry.pose_json import finite_number, pose_from_json, poses_from_json, whole_number
from ...regular_file import check_regular_file
from ..validity import check_expansion
from .codec import decompress_rows, row_bytes
from .writer import CHANNELS, FORMAT_VERSION, MAGIC, MAX_HEADER_BYTES, STATIC, check_counts

_PRELUDE_BYTES = 12  # magic, version and length of the header
_MIN_ROW_COST = 4096  # bytes: decoding a short row takes as long as one of that length
_MAX_NUMBER = 1e9  # largest magnitude of low and step
_MAX_QUAT_CODES = np.array([3, 1023, 1023, 1023])  # of the four channels of quats


class S4DFrame(NamedTuple):
    """The Gaussians at one frame, as ``rasterize`` takes them; float32.

    Attributes:
        means: [N, 3] world units.
        quats: [N, 4] wxyz, unit length.
        scales: [N, 3] standard deviations, world units.
        opacities: [N].
        colors: [N, 3].
    """

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor


class _Attribute(NamedTuple):
    """A quantized attribute: codes [C, 1 or F, N], and low and step [C, 1] of each channel."""

    codes: np.ndarray
    low: np.ndarray
    step: np.ndarray

    def at(self, frame: int) -> np.ndarray:
        """Return the values at a frame, float64 [C, N]."""
        return self.low + self.step * self.codes[:, min(frame, self.codes.shape[1] - 1)]


@dataclass(frozen=True, eq=False)
class S4DFile:
    """The content of an ``.s4d`` file; Gaussians stay quantized until a frame of them is requested.

    Attributes:
        num_gaussians: N.
        num_frames: F.
        fps: Frames a second.
        input_pose: Camera of the video.
        view_poses: The other cameras that the viewer offers.
        attributes: Quantized attributes by name.
        is_related: Whether Gaussians move from frame to frame; else each frame has Gaussians of its own.
    """

    num_gaussians: int
    num_frames: int
    fps: float
    input_pose: OrbitPose
    view_poses: tuple[OrbitPose, ...]
    attributes: Mapping[str, _Attribute]
    is_related: bool = True

    def at(self, frame: int) -> S4DFrame:
        """Return the Gaussians at frame 0 to F - 1; raises ValueError for another frame."""
        if not 0 <= frame < self.num_frames:
            raise ValueError(f"s4d: frame {frame}; expected 0 to {self.num_frames - 1}.")
        values = {name: attribute.at(frame) for name, attribute in self.attributes.items()}
        quats = _expand_quats(values["quats"])
        with np.errstate(over="ignore"):
            scales = np.exp(values["log_scales"])
        parts = (values["means"], quats, scales, values["opacities"], values["colors"])
        means, quats_, scales, opacities, colors = (torch.from_numpy(part.T.copy()).float() for part in parts)
        return S4DFrame(means, quats_, scales, opacities[:, 0], colors)


def read_s4d(source: bytes | str | Path) -> S4DFile:
    """Read an ``.s4d`` file; the whole header is checked before anything is decompressed.

    Args:
        source: Path of the file, or its content.

    Returns:
        The content of the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no ``.s4d`` file, of another version, damaged, or above the limits of the format.
    """
    if isinstance(source, bytes):
        return _decode(source)
    check_regular_file(Path(source), str(source), "an .s4d file")
    try:
        return _decode(Path(source).read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{source}: {error}") from error


def _decode(source: bytes) -> S4DFile:
    """Return the content of a file; raises ValueError like ``read_s4d``."""
    version, header, begin = _read_header(source)
    count = whole_number(header.get("num_gaussians"), "s4d: num_gaussians")
    num_frames = whole_number(header.get("num_frames"), "s4d: num_frames")
    views = poses_from_json(header.get("views"), "s4d: views")
    check_counts(count, num_frames, len(views))
    fps = finite_number(header.get("fps"), "s4d: fps")
    if not 0 < fps < 1e4:
        raise ValueError(f"s4d: {fps:g} frames a second; expected a positive number.")
    input_pose = pose_from_json(header.get("input"), "s4d: input")
    grids = {name: _read_grid(header, name, version) for name in CHANNELS}
    is_related = header.get("interpolate", True) if version > 1 else True
    if not isinstance(is_related, bool):
        raise ValueError(f"s4d: interpolate is {is_related!r:.40}; expected true or false.")
    frames = {name: num_frames if per_frame else 1 for name, (per_frame, *_) in grids.items()}
    channels = [frames[name] for name, num_channels in CHANNELS.items() for _ in range(num_channels)]
    try:
        check_expansion(len(source), sum(channels) * max(row_bytes(count), _MIN_ROW_COST))
    except ValueError as error:
        raise ValueError(f"s4d: {error}.") from error
    rows = iter(decompress_rows(source[begin:], count, channels))
    attributes = {}
    for name, (_, low, step) in grids.items():
        codes = np.stack([next(rows) for _ in range(CHANNELS[name])])  # [C, 1 or F, N]
        attributes[name] = _Attribute(codes, low, step)
    if (attributes["quats"].codes > _MAX_QUAT_CODES[:, None, None]).any():
        raise ValueError("s4d: quats have codes above 3 or 1023; the file is damaged.")
    return S4DFile(count, num_frames, fps, input_pose, views, attributes, is_related)


def _read_header(data: bytes) -> tuple[int, dict[str, Any], int]:
    """Return version, header and the offset of the rows; raises ValueError if the header is invalid."""
    if len(data) < _PRELUDE_BYTES or data[: len(MAGIC)] != MAGIC:
        raise ValueError(f"s4d: does not begin with {MAGIC.decode()}; expected an .s4d file.")
    version, length = np.frombuffer(data, "<u4", count=2, offset=len(MAGIC)).tolist()
    if not 1 <= version <= FORMAT_VERSION:
        raise ValueError(f"s4d: version {version}; expected 1 to {FORMAT_VERSION}; export the scene again.")
    end = _PRELUDE_BYTES + length
    if length > MAX_HEADER_BYTES or end > len(data):
        raise ValueError(f"s4d: a header of {length} bytes; expected at most {MAX_HEADER_BYTES}, and rows.")
    try:
        header = json.loads(data[_PRELUDE_BYTES:end].decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"s4d: its header is not JSON ({error}); the file is damaged.") from error
    if not isinstance(header, dict):
        raise ValueError("s4d: its header is not a JSON object; the file is damaged.")
    return version, header, end


def _read_grid(header: dict[str, Any], name: str, version: int) -> tuple[bool, np.ndarray, np.ndarray]:
    """Return whether an attribute has a row per frame, and its low and step [C, 1], after checking them."""
    attributes = header.get("attributes")
    value = attributes.get(name) if isinstance(attributes, dict) else None
    if not isinstance(value, dict):
        raise ValueError(f"s4d: attributes.{name} is not an object; the file is damaged.")
    per_frame = value.get("per_frame")
    must_be_static = version == 1 and name in STATIC
    if not isinstance(per_frame, bool) or (per_frame and must_be_static):
        expected = "false" if must_be_static else "true or false"
        raise ValueError(f"s4d: attributes.{name}.per_frame is {per_frame!r:.40}; expected {expected}.")
    low, step = (_read_numbers(value, name, key) for key in ("low", "step"))
    if not (step > 0).all():
        raise ValueError(f"s4d: attributes.{name}.step is not positive; the file is damaged.")
    return per_frame, low, step


def _read_numbers(value: dict[str, Any], name: str, key: str) -> np.ndarray:
    """Return low or step [C, 1]; raises ValueError if there are not C numbers or one is out of range."""
    numbers = value.get(key)
    if not isinstance(numbers, list) or len(numbers) != CHANNELS[name]:
        raise ValueError(f"s4d: attributes.{name}.{key} is not an array of {CHANNELS[name]} numbers.")
    field = f"s4d: attributes.{name}.{key}"
    found = np.array([[finite_number(number, f"{field}[{index}]")] for index, number in enumerate(numbers)])
    if np.abs(found).max() > _MAX_NUMBER:
        raise ValueError(f"{field} has {np.abs(found).max():g}; expected at most {_MAX_NUMBER:g}.")
    return found


def _expand_quats(parts: np.ndarray) -> np.ndarray:
    """Return unit quaternions wxyz [4, N] from the largest component's index and the other three [4, N]."""
    largest, three = parts[0].astype(int), parts[1:]
    omitted = np.sqrt(np.maximum(0, 1 - np.square(three).sum(axis=0)))  # positive, by the format
    quats = np.empty_like(parts)
    for index in range(4):
        stored = np.minimum(index - (index > largest), 2)  # [N], of the three; clipped where it is not used
        quats[index] = np.where(index == largest, omitted, three[stored, np.arange(parts.shape[1])])
    return quats
