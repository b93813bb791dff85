"""Write ``.s4d`` files, the container of the viewer: a moving scene that a browser decodes without libraries.

This is the specification of the format. A file holds the activated and quantized Gaussians of all F frames of
a scene, in world coordinates, y up. Numbers are little-endian::

    4 bytes   magic, "S4DC"
    uint32    version of the format, 1 or 2
    uint32    H, length of the header, at most 65536
    H bytes   header: a JSON object, UTF-8
    the rest  rows: one gzip member

    {"num_gaussians": N, "num_frames": F, "fps": 8.0, "input": POSE, "views": [POSE, ...],
     "attributes": {"means": {"per_frame": true, "low": [...], "step": [...]}, "quats": ..., ...}}

**Header.** POSE is ``{"azimuth", "elevation", "radius", "fovy"}``, degrees and world units: ``input`` is the
camera of the video, ``views`` are further cameras that the viewer offers. The optional ``metadata`` are JSON
texts by name, such as a ComfyUI workflow. Readers ignore unknown keys. N is 1 to 4194304, F is 1 to 65536, N
times F is at most 16777216, which bounds the memory of a reader by 512 MB, and there are at most 64 views.
Readers check the header before they decompress anything, and stop decompressing at the last row.

**Version 2** is for scenes whose frames come from other programs; all others are written as version 1, which
older readers know. Colors and opacities may be ``per_frame``, and ``"interpolate": false`` in the header says
that the frames have unrelated Gaussians: between two frames, players show the nearest one. Gaussians that a
frame does not have are in its rows with an opacity below 1e-6.

**Rows.** An attribute has one to four channels:

==========  =======================================================================
means       x, y, z
quats       index of the largest component, and the other three in their order
log_scales  natural logarithms of the three standard deviations
colors      red, green, blue
opacities   opacity
==========  =======================================================================

A channel has F rows if its attribute is ``per_frame`` and one row otherwise; in version 1, colors and
opacities are never ``per_frame``. Rows are ordered by attribute, as in this table, then by channel, then by
frame. A row is a filter byte, N low bytes and N high bytes (see ``codec``), which give N 16-bit codes. The
value of a code is ``low + step * code``, with ``low`` and ``step`` of its channel. Quaternions are wxyz,
normalized and of the sign that makes the largest component positive; it is omitted, and follows from the unit
length. Codes of its index are at most 3, of the other three at most 1023. The Gaussians are sorted along a
space-filling curve, in the same order in all rows, since close ones have similar values, which compress
better; the order is not that of the scene.

**Quantization.** The error of a value is at most half a step:

==========  =============================================  ===============================
attribute   step of precision "full"                       step of precision "small"
==========  =============================================  ===============================
means       1/16384 of the object's size                   1/2048 of the object's size
quats       sqrt(2) / 1023 (error up to 0.28 degrees)      sqrt(2) / 255 (1.1 degrees)
log_scales  1/64 (error up to 0.8 %)                       1/24 (2.1 %)
colors      1/510                                          1/255
opacities   1/510                                          1/255
==========  =============================================  ===============================

The object's size is the longest side of the axis-aligned box between the 1st and 99th percentiles of all
centers of all frames. If values span more than 65535 steps, as a stray Gaussian makes centers do, the step is
enlarged. An attribute that moves by at most a hundredth of a step is stored once, which adds that much to its
error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...atomic import write_whole
from ...geometry import OrbitPose, v11_rig_around
from ...geometry.pose_json import pose_to_json
from ...metadata import checked_metadata
from ...progress import Monitor, silent
from ...scene import GaussianModel4D, Gaussians
from .codec import compress_rows

Precision = Literal["full", "small"]

MAGIC = b"S4DC"
FORMAT_VERSION = 2
MAX_HEADER_BYTES = 2**16
MAX_METADATA_BYTES = 3 * 2**14  # the rest of the header, with all 64 views, takes less than 2**14
MAX_GAUSSIANS = 2**22
MAX_FRAMES = 2**16
MAX_SAMPLES = 2**24  # Gaussians times frames
MAX_VIEWS = 64
CHANNELS = {"means": 3, "quats": 4, "log_scales": 3, "colors": 3, "opacities": 1}
STATIC = ("colors", "opacities")  # attributes that the deformation does not change: one row in version 1

_SIZE_PERCENTILES = (1.0, 99.0)
_STATIC_TOLERANCE = 0.01  # steps that an attribute may move and still be stored once


class _Steps(NamedTuple):
    """Quantization steps of a precision: per object's size (means), per component's range (quats), per 1."""

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
    """A quantized attribute: codes [C, 1 or F, N] uint16, and low and step [C] of the header."""

    codes: np.ndarray
    low: list[float]
    step: list[float]


def write_s4d(
    path: str | Path,
    model: GaussianModel4D,
    *,
    precision: Precision = "full",
    view_poses: Sequence[OrbitPose] | None = None,
    metadata: Mapping[str, str] | None = None,
    monitor: Monitor = silent,
) -> None:
    """Write a scene as an ``.s4d`` file, see ``encode_s4d``; its folder is made when it does not exist.

    Raises:
        RuntimeError: if the file cannot be written.
        ValueError: see ``encode_s4d``.
    """
    content = encode_s4d(
        model, precision=precision, view_poses=view_poses, metadata=metadata, monitor=monitor
    )
    write_whole(path, content)


@torch.no_grad()
def encode_s4d(
    model: GaussianModel4D,
    *,
    precision: Precision = "full",
    view_poses: Sequence[OrbitPose] | None = None,
    metadata: Mapping[str, str] | None = None,
    monitor: Monitor = silent,
) -> bytes:
    """Encode a scene as an ``.s4d`` file; the same scene gives the same bytes.

    Args:
        model: The scene, on any device.
        precision: ``"full"`` or ``"small"``; the table above has their errors.
        view_poses: Cameras that the viewer offers besides the input camera; None gives the Zero123++ v1.1 rig
            around it, with its radius and field of view.
        metadata: JSON texts by name, written into the header.
        monitor: Called after each frame.

    Returns:
        The content of the file.

    Raises:
        TypeError: if a name or value of the metadata is not a string.
        ValueError: if the precision is unknown, a number is not finite, there are no Gaussians, or there are
            more Gaussians, frames, views or metadata than the format allows.
    """
    if precision not in _PRECISIONS:
        raise ValueError(f"s4d: precision {precision!r}; expected one of {', '.join(_PRECISIONS)}.")
    poses = v11_rig_around(model.info.input_pose) if view_poses is None else tuple(view_poses)
    check_counts(len(model.gaussians), model.info.num_frames, len(poses))
    texts = checked_metadata(metadata, "s4d", MAX_METADATA_BYTES)
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
    is_related = model.frames is None or model.frames.counts is None
    if not is_related:
        header["interpolate"] = False
    if texts:
        header["metadata"] = texts
    is_static = all(attributes[name].codes.shape[1] == 1 for name in STATIC)
    text = json.dumps(header, allow_nan=False).encode()
    version = 1 if is_related and is_static else FORMAT_VERSION
    numbers = np.array([version, len(text)], "<u4").tobytes()
    order = _neighbor_order(attributes["means"].codes[:, 0])
    rows = (channel[:, order] for attribute in attributes.values() for channel in attribute.codes)
    return b"".join([MAGIC, numbers, text, compress_rows(rows)])


def check_counts(num_gaussians: int, num_frames: int, num_views: int) -> None:
    """Raise ValueError if numbers of Gaussians, frames or views are beyond the limits of the format."""
    limits = {"Gaussians": (num_gaussians, MAX_GAUSSIANS), "frames": (num_frames, MAX_FRAMES)}
    for name, (count, most) in limits.items():
        if not 1 <= count <= most:
            raise ValueError(f"s4d: {count} {name}; expected 1 to {most}.")
    if num_gaussians * num_frames > MAX_SAMPLES:
        raise ValueError(
            f"s4d: {num_gaussians} Gaussians at {num_frames} frames; expected at most {MAX_SAMPLES} in all."
        )
    if num_views > MAX_VIEWS:
        raise ValueError(f"s4d: {num_views} views; expected at most {MAX_VIEWS}.")


def _quantize(model: GaussianModel4D, steps: _Steps, monitor: Monitor) -> dict[str, _Attribute]:
    """Return the quantized attributes of a scene, in the order of ``CHANNELS``."""
    deformed: list[Gaussians] = []
    for frame, time in enumerate(model.frame_times):  # one at a time, to bound the memory of the field
        deformed.append(model.at(time[None])[0] if model.frames is None else model.frames[frame])
        monitor("export", len(deformed), model.info.num_frames)
    colored = [model.gaussians] if model.frames is None else deformed
    values = {
        "means": _stack(frame.means for frame in deformed),
        "log_scales": _stack(frame.log_scales for frame in deformed),
        "colors": _stack(frame.colors for frame in colored),
        "opacities": _stack(frame.opacities[:, None] for frame in colored),
    }
    quats = _stack(frame.quats for frame in deformed)  # [4, F, N]
    for name, numbers in (values | {"quats": quats}).items():
        if not np.isfinite(numbers).all():
            raise ValueError(f"s4d: the scene's {name} are not all finite; every number must be.")
    step_sizes = {
        "means": _object_size(values["means"]) / steps.means,
        "log_scales": 1 / steps.log_scales,
        "colors": 1 / steps.colors,
        "opacities": 1 / steps.opacities,
    }
    attributes = {name: _quantize_uniformly(values[name], step) for name, step in step_sizes.items()}
    attributes["quats"] = _quantize_quats(quats, steps.quats)
    return {name: attributes[name] for name in CHANNELS}


def _stack(frames: Iterable[Tensor]) -> np.ndarray:
    """Stack the values [N, C] of F frames to float64 [C, F, N]."""
    return np.stack([frame.cpu().double().numpy().T for frame in frames], axis=1)


def _object_size(means: np.ndarray) -> float:
    """Return the longest side of the box between percentiles of centers [3, F, N], at least 1e-6."""
    low, high = np.percentile(means.reshape(3, -1), _SIZE_PERCENTILES, axis=1)
    return float(max((high - low).max(), 1e-6))


def _quantize_uniformly(values: np.ndarray, step: float) -> _Attribute:
    """Quantize values [C, F, N] with a step, or with a larger one if their range needs more than 65535."""
    low = values.min(axis=(1, 2), keepdims=True)
    extent = float((values - low).max())
    step = max(step, extent / 65535)
    if np.ptp(values, axis=1).max() <= _STATIC_TOLERANCE * step:
        values = values[:, :1]
    codes = np.rint((values - low) / step).astype(np.uint16)
    return _Attribute(codes, low[:, 0, 0].tolist(), [step] * len(codes))


def _quantize_quats(quats: np.ndarray, steps: int) -> _Attribute:
    """Quantize quaternions [4, F, N] as the index of the largest component and the other three.

    The other three are within +-sqrt(1/2); that range is divided into ``steps`` steps.
    """
    unit = quats / np.maximum(np.linalg.norm(quats, axis=0), 1e-12)
    if np.ptp(unit, axis=1).max() <= _STATIC_TOLERANCE * np.sqrt(2) / steps:
        unit = unit[:, :1]
    largest = np.abs(unit).argmax(axis=0)[None]  # [1, F, N]
    # q and -q are the same rotation: make the largest component positive, so that its sign is known.
    unit = unit * np.where(np.take_along_axis(unit, largest, axis=0) < 0, -1.0, 1.0)
    # Indices of the components with the largest replaced by 4: sorting puts the other three first, in order.
    others = np.sort(np.where(np.arange(4)[:, None, None] == largest, 4, np.arange(4)[:, None, None]), axis=0)
    three = np.take_along_axis(unit, others[:3], axis=0)  # [3, F, N]
    codes = np.rint((three * np.sqrt(0.5) + 0.5) * steps)  # (three + sqrt(1/2)) / sqrt(2), scaled to steps
    step = float(np.sqrt(2) / steps)
    low = float(-np.sqrt(0.5))
    return _Attribute(
        np.concatenate([largest, codes]).astype(np.uint16), [0.0] + [low] * 3, [1.0] + [step] * 3
    )


def _neighbor_order(codes: np.ndarray) -> np.ndarray:
    """Return the order of Gaussians along a Z-order curve through their centers, codes [3, N] uint16.

    The key interleaves the bits of the three codes (Morton code), so that neighbors in the order are close.
    """
    keys = np.zeros(codes.shape[1], np.int64)
    for bit in range(16):
        for axis in range(3):
            keys |= (codes[axis].astype(np.int64) >> bit & 1) << (3 * bit + axis)
    return np.argsort(keys, kind="stable")  # stable: equal scenes give equal bytes
