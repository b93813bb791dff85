"""The viewer's clip, ``.s4d``: a moving scene in one small file that a browser decodes without help.

A clip holds the Gaussians at the F frames of a scene, activated and quantized, in our world. Numbers are
little-endian::

    4 bytes   "S4DC"
    uint32    version of the format, 1
    uint32    H, length of the header, at most 65536
    H bytes   the header: a JSON object, UTF-8
    the rest  one gzip member: the rows

    {"num_gaussians": N, "num_frames": F, "fps": 8.0, "input": POSE, "views": [POSE, ...],
     "attributes": {"means": {"per_frame": true, "low": [...], "step": [...]}, "quats": ..., ...}}

N is 1 to 4194304, F 1 to 65536, N x F at most 16777216, which bounds the memory of either reader by 512 MB;
all of it is checked before anything is decompressed, and decompression stops at the last row. There are at
most 64 views; POSE is ``{"azimuth", "elevation", "radius", "fovy"}``, degrees and world units, the input
camera's or one of a posed view. Keys that a reader does not know are to be ignored.

The attributes and their channels are ``means`` x, y, z; ``quats`` largest, first, second, third;
``log_scales`` 3, natural logarithms; ``colors`` red, green, blue; ``opacities`` 1. A channel has F rows if
its attribute is ``per_frame``, which colors and opacities never are, and otherwise one. Rows stand in the
order of attributes, channels, frames. A row is a filter, N low bytes and N high bytes (see ``codec``)
and gives N codes of 16 bits; the value is ``low + step * code``, with the channel's own low and step. Of a
unit quaternion wxyz the component ``largest``, made positive, is left out; the others follow in their
order. Codes of ``largest`` are at most 3, those of the other three at most 1023. The Gaussians are sorted
so that neighbors stand together: in another order than in the scene, and in the same one in every frame.

Quantization is off by at most half a step (and what that comes to) where a step is

==========  ========================================  ==========================
attribute   precision "full"                          precision "small"
==========  ========================================  ==========================
means       1/16384 of the object's size              1/2048 of it
quats       sqrt(2) / 1023 a component: 0.28 degrees  sqrt(2) / 255: 1.1 degrees
log_scales  1/64: 0.8 % of a scale                    1/24: 2.1 % of it
colors      1/510                                     1/255
opacities   1/510                                     1/255
==========  ========================================  ==========================

The size is the largest side of the box that holds the middle 98 % of all centers of all frames, axis by
axis; where a stray Gaussian is four sizes away or more, the step grows until 65535 of them reach it. An
attribute that never moves by more than a hundredth of a step is stored once, which adds that much.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...atomic import write_whole
from ...geometry import OrbitPose, v11_rig_around
from ...geometry.pose_json import pose_to_json
from ...progress import Monitor, silent
from ...scene import GaussianModel4D
from .codec import compress_rows

Precision = Literal["full", "small"]

MAGIC = b"S4DC"
FORMAT_VERSION = 1
MAX_HEADER_BYTES = 2**16
MAX_GAUSSIANS = 2**22
MAX_FRAMES = 2**16
MAX_SAMPLES = 2**24  # Gaussians times frames
MAX_VIEWS = 64
CHANNELS = {"means": 3, "quats": 4, "log_scales": 3, "colors": 3, "opacities": 1}
STATIC = ("colors", "opacities")

_SIZE_PERCENTILES = (1.0, 99.0)
_STILL = 0.01  # of a step


class _Steps(NamedTuple):
    """How finely a precision quantizes: steps in the object's size, a quaternion component's range, and 1."""

    means: int
    quats: int
    log_scales: int
    colors: int
    opacities: int


_PRECISIONS: dict[str, _Steps] = {
    "full": _Steps(means=16384, quats=1023, log_scales=64, colors=510, opacities=510),
    "small": _Steps(means=2048, quats=255, log_scales=24, colors=255, opacities=255),
}


class _Attribute(NamedTuple):
    """An attribute on its grid: codes [C, 1 or F, N] uint16, and low and step [C] as the header has them."""

    codes: np.ndarray
    low: list[float]
    step: list[float]


def write_s4d(
    path: str | Path,
    model: GaussianModel4D,
    *,
    precision: Precision = "full",
    view_poses: Sequence[OrbitPose] | None = None,
    monitor: Monitor = silent,
) -> None:
    """Write what ``encode_s4d`` makes; the folder is made when it does not exist.

    Raises:
        RuntimeError: if the file cannot be written.
        ValueError: see ``encode_s4d``.
    """
    write_whole(path, encode_s4d(model, precision=precision, view_poses=view_poses, monitor=monitor))


@torch.no_grad()
def encode_s4d(
    model: GaussianModel4D,
    *,
    precision: Precision = "full",
    view_poses: Sequence[OrbitPose] | None = None,
    monitor: Monitor = silent,
) -> bytes:
    """Return a scene as a clip; the same scene gives the same bytes.

    Args:
        model: The scene, on any device.
        precision: ``"full"`` or ``"small"``, see the table above.
        view_poses: Cameras that the viewer offers beside the input's; None: the Zero123++ rig around it, with
            its radius and field of view.
        monitor: Called after each frame.

    Raises:
        ValueError: if the precision is unknown, a number is not finite, there are no Gaussians, or more
            Gaussians, frames or views than a clip holds.
    """
    if precision not in _PRECISIONS:
        raise ValueError(f"clip: precision {precision!r}; expected one of {', '.join(_PRECISIONS)}.")
    poses = v11_rig_around(model.info.input_pose) if view_poses is None else tuple(view_poses)
    check_counts(len(model.gaussians), model.info.num_frames, len(poses))
    attributes = _quantize(model, _PRECISIONS[precision], monitor)
    header = {
        "num_gaussians": len(model.gaussians),
        "num_frames": model.info.num_frames,
        "fps": model.info.fps,
        "input": pose_to_json(model.info.input_pose),
        "views": [pose_to_json(pose) for pose in poses],
        "attributes": {
            name: {"per_frame": attribute.codes.shape[1] > 1, "low": attribute.low, "step": attribute.step}
            for name, attribute in attributes.items()
        },
    }
    text = json.dumps(header, allow_nan=False).encode()
    numbers = np.array([FORMAT_VERSION, len(text)], "<u4").tobytes()
    order = _neighbor_order(attributes["means"].codes[:, 0])
    rows = (channel[:, order] for attribute in attributes.values() for channel in attribute.codes)
    return b"".join([MAGIC, numbers, text, compress_rows(rows)])


def check_counts(num_gaussians: int, num_frames: int, num_views: int) -> None:
    """Raise ValueError unless a clip may hold so many Gaussians, frames and views."""
    limits = {"Gaussians": (num_gaussians, MAX_GAUSSIANS), "frames": (num_frames, MAX_FRAMES)}
    for name, (count, most) in limits.items():
        if not 1 <= count <= most:
            raise ValueError(f"clip: {count} {name}; expected 1 to {most}.")
    if num_gaussians * num_frames > MAX_SAMPLES:
        raise ValueError(
            f"clip: {num_gaussians} Gaussians at {num_frames} frames; expected at most {MAX_SAMPLES} in all."
        )
    if num_views > MAX_VIEWS:
        raise ValueError(f"clip: {num_views} views; expected at most {MAX_VIEWS}.")


def _quantize(
    model: GaussianModel4D, steps: _Steps, monitor: Monitor
) -> dict[str, _Attribute]:
    """Return all attributes of a scene on their grids."""
    posed = []
    for time in model.frame_times:  # one at a time: a field takes memory
        posed.append(model.at(time[None])[0])
        monitor("export", len(posed), model.info.num_frames)
    gaussians = model.gaussians
    values = {
        "means": _stacked(frame.means for frame in posed),
        "log_scales": _stacked(frame.log_scales for frame in posed),
        "colors": _stacked([gaussians.colors]),
        "opacities": _stacked([gaussians.opacities[:, None]]),
    }
    quats = _stacked(frame.quats for frame in posed)  # [4, F, N]
    for name, numbers in (values | {"quats": quats}).items():
        if not np.isfinite(numbers).all():
            raise ValueError(f"clip: the scene's {name} are not all finite; every number must be.")
    grids = {
        "means": _object_size(values["means"]) / steps.means,
        "log_scales": 1 / steps.log_scales,
        "colors": 1 / steps.colors,
        "opacities": 1 / steps.opacities,
    }
    attributes = {name: _on_grid(values[name], step) for name, step in grids.items()}
    attributes["quats"] = _smallest_three(quats, steps.quats)
    return {name: attributes[name] for name in CHANNELS}


def _stacked(frames: Iterable[Tensor]) -> np.ndarray:
    """Return [N, C] of every frame as float64 [C, F, N]."""
    return np.stack([frame.cpu().double().numpy().T for frame in frames], axis=1)


def _object_size(means: np.ndarray) -> float:
    """Return the largest side of the box around the middle 98 % of centers [3, F, N], above 0."""
    low, high = np.percentile(means.reshape(3, -1), _SIZE_PERCENTILES, axis=1)
    return float(max((high - low).max(), 1e-6))


def _on_grid(values: np.ndarray, step: float) -> _Attribute:
    """Return values [C, F, N] on a grid of ``step``, or a coarser one that reaches all of them."""
    low = values.min(axis=(1, 2), keepdims=True)
    reach = float((values - low).max())
    step = max(step, reach / 65535)
    if np.ptp(values, axis=1).max() <= _STILL * step:
        values = values[:, :1]
    codes = np.rint((values - low) / step).astype(np.uint16)
    return _Attribute(codes, low[:, 0, 0].tolist(), [step] * len(codes))


def _smallest_three(quats: np.ndarray, steps: int) -> _Attribute:
    """Return quaternions [4, F, N] as the largest component's index and the other three on a grid."""
    unit = quats / np.maximum(np.linalg.norm(quats, axis=0), 1e-12)
    if np.ptp(unit, axis=1).max() <= _STILL * np.sqrt(2) / steps:
        unit = unit[:, :1]
    largest = np.abs(unit).argmax(axis=0)[None]  # [1, F, N]
    unit = unit * np.where(np.take_along_axis(unit, largest, axis=0) < 0, -1.0, 1.0)
    others = np.sort(np.where(np.arange(4)[:, None, None] == largest, 4, np.arange(4)[:, None, None]), axis=0)
    three = np.take_along_axis(unit, others[:3], axis=0)  # [3, F, N] within +-sqrt(1/2)
    codes = np.rint((three * np.sqrt(0.5) + 0.5) * steps)
    step = float(np.sqrt(2) / steps)
    low = float(-np.sqrt(0.5))
    return _Attribute(
        np.concatenate([largest, codes]).astype(np.uint16), [0.0] + [low] * 3, [1.0] + [step] * 3
    )


def _neighbor_order(codes: np.ndarray) -> np.ndarray:
    """Return the order of Gaussians along a Z-shaped curve through positions [3, N] uint16."""
    places = np.zeros(codes.shape[1], np.int64)
    for bit in range(16):
        for axis in range(3):
            places |= (codes[axis].astype(np.int64) >> bit & 1) << (3 * bit + axis)
    return np.argsort(places, kind="stable")
