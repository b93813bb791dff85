"""Offsets: the translation of an object from frame to frame, where a moving crop keeps it in the center."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeGuard

import torch
from torch import Tensor

from .orbit import OrbitPose, orbit_viewmats
from .pose_json import describe, finite_number

MAX_OFFSET = 1e6  # world units, as the largest radius of a camera


def world_offsets(crop_offsets: Tensor, pose: OrbitPose) -> Tensor:
    """Return the translations of an object in the world from those of its square in the image.

    A square that moves by its own side shows an object that moves by the width that the camera sees at the
    distance of the origin, 2 r tan(fovy / 2), parallel to the image plane. This holds exactly for points at
    that distance.

    Args:
        crop_offsets: [F, 2], to the right and down, in units of the square's side.
        pose: Camera of the squares.

    Returns:
        Float32 [F, 3], world units.

    Raises:
        ValueError: if the offsets have another shape.
    """
    if crop_offsets.ndim != 2 or crop_offsets.shape[1] != 2:
        raise ValueError(f"crop offsets: shape {list(crop_offsets.shape)}; expected [F, 2].")
    width = 2 * pose.radius * math.tan(math.radians(pose.fovy_deg) / 2)
    right_and_down = orbit_viewmats([pose])[0, :2, :3]  # [2, 3]
    return width * crop_offsets.float().cpu() @ right_and_down


def check_offsets(offsets: Tensor, num_frames: int, subject: str) -> None:
    """Raise ValueError unless offsets are [F, 3], finite and of sane magnitude."""
    if offsets.ndim != 2 or offsets.shape[1] != 3:
        raise ValueError(f"{subject}: offsets have shape {list(offsets.shape)}; expected [{num_frames}, 3].")
    if len(offsets) != num_frames:
        raise ValueError(
            f"{subject}: {len(offsets)} offsets for {num_frames} frames; expected one per frame, from the "
            "crop that made the frames."
        )
    if not offsets.isfinite().all():
        raise ValueError(f"{subject}: offsets are not finite; every number must be.")
    if offsets.abs().max() > MAX_OFFSET:
        raise ValueError(
            f"{subject}: offsets up to {offsets.abs().max():g}; expected at most {MAX_OFFSET:g}."
        )


def offsets_from_json(value: object, num_frames: int, field: str) -> Tensor:
    """Return the offsets [F, 3] in an array of F arrays ``[x, y, z]``.

    Args:
        value: The JSON value.
        num_frames: F.
        field: Path of the value for error messages.

    Raises:
        ValueError: if it is something else, or a number is not finite or too large.
    """
    if not _is_array(value):
        raise ValueError(f"{field} must be an array of [x, y, z], not {describe(value)}.")
    if len(value) != num_frames:
        raise ValueError(f"{field} has {len(value)} entries; expected {num_frames}, one per frame.")
    rows = []
    for frame, entry in enumerate(value):
        if not _is_array(entry) or len(entry) != 3:
            raise ValueError(f"{field}[{frame}] must be [x, y, z], not {describe(entry)}.")
        numbers = [finite_number(number, f"{field}[{frame}]") for number in entry]
        if max(map(abs, numbers)) > MAX_OFFSET:
            raise ValueError(f"{field}[{frame}] is {describe(entry)}; expected at most {MAX_OFFSET:g}.")
        rows.append(numbers)
    return torch.tensor(rows, dtype=torch.float32)


def interpolate_offsets(offsets: Tensor, frame_times: Tensor) -> Tensor:
    """Return offsets [T, 3] at times [T] in [0, 1], linear between the frames' offsets [F, 3]."""
    position = frame_times.double() * (len(offsets) - 1)  # [T] in frames
    earlier = position.floor().long().clamp(0, len(offsets) - 1)
    later = (earlier + 1).clamp(max=len(offsets) - 1)
    offsets = offsets.to(frame_times.device, torch.float32)
    return torch.lerp(offsets[earlier], offsets[later], (position - earlier).float()[:, None])


def _is_array(value: object) -> TypeGuard[Sequence[object]]:
    """Return whether a JSON value is an array."""
    return isinstance(value, Sequence) and not isinstance(value, str)
