"""Toys as view sets and as truth: what a fit is given, and what it is measured against."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..geometry import OrbitPose, zero123plus_rig
from ..progress import Monitor, silent
from ..types import Cameras, ViewSet, frame_times
from .objects import Split, toy_object, toy_seed
from .raycast import raycast

TEST_AZIMUTHS_DEG = (-75.0, 15.0, 105.0, 195.0)  # Consistent4D's test views, elevation 0
INPUT_POSE = OrbitPose(azimuth_deg=0.0)  # of the clip's camera
TEST_POSES = tuple(OrbitPose(azimuth_deg=azimuth) for azimuth in TEST_AZIMUTHS_DEG)


def toy_views(
    seed: int,
    num_frames: int = 16,
    size: int = 128,
    plan: str | None = None,
    monitor: Monitor = silent,
) -> ViewSet:
    """Return a toy's input video (azimuth 0, elevation 0) and the six true views of the v1.1 rig.

    Args:
        seed: Which toy, see ``toy_seed``.
        num_frames: F, at least 1.
        size: S, pixels along each side of every image.
        plan: Name of a body plan; by default the seed draws one.
        monitor: Called after each frame.

    Returns:
        The views, [F, S, S, 3] and [F, 6, S, S, 3].

    Raises:
        ValueError: if a number is out of range or the plan unknown.
    """
    poses = (INPUT_POSE, *zero123plus_rig("v1.1"))
    images, alphas = toy_truth(seed, poses, num_frames, size, plan, monitor)
    return ViewSet(
        images=images[0],
        alphas=alphas[0],
        view_images=images[1:].transpose(0, 1).contiguous(),
        view_alphas=alphas[1:].transpose(0, 1).contiguous(),
        input_pose=poses[0],
        view_poses=poses[1:],
    )


def toy_truth(
    seed: int,
    poses: Sequence[OrbitPose],
    num_frames: int = 16,
    size: int = 128,
    plan: str | None = None,
    monitor: Monitor = silent,
) -> tuple[Tensor, Tensor]:
    """Return what V cameras see of a toy in F frames.

    Args:
        seed: Which toy, see ``toy_seed``.
        poses: V cameras.
        num_frames: F, at least 1; the times are ``frame_times(F)``.
        size: S, pixels along each side of every image.
        plan: Name of a body plan; by default the seed draws one.
        monitor: Called after each frame.

    Returns:
        Straight colors [V, F, S, S, 3], white where nothing is seen, and alphas [V, F, S, S].

    Raises:
        ValueError: if a number is out of range, the plan unknown, or there is no pose.
    """
    if num_frames < 1:
        raise ValueError(f"toy: {num_frames} frames; expected at least one.")
    if not poses:
        raise ValueError("toy: no camera poses; expected at least one.")
    toy = toy_object(seed, plan)
    cameras = Cameras.from_poses(poses, size, size)
    shots = []
    for time in frame_times(num_frames).tolist():
        shots.append(raycast(toy, time, cameras))
        monitor("render", len(shots), num_frames)
    images, alphas = (torch.stack([shot[part] for shot in shots], dim=1) for part in (0, 1))
    return images, alphas


def many_toys(split: Split, count: int, poses: Sequence[OrbitPose], size: int) -> tuple[Tensor, Tensor]:
    """Return what V cameras see of the first N toys of a split, each at a time of its own.

    Args:
        split: Whose toys.
        count: N, at least 1.
        poses: V cameras, at least one.
        size: S, pixels along each side.

    Returns:
        Straight colors [V, N, S, S, 3], white where nothing is seen, and alphas [V, N, S, S].

    Raises:
        ValueError: if a number is out of range, the split unknown, or there is no pose.
    """
    if count < 1:
        raise ValueError(f"toys: {count} of split {split!r}; expected at least one.")
    if not poses:
        raise ValueError("toys: no camera poses; expected at least one.")
    cameras = Cameras.from_poses(poses, size, size)
    shots = []
    for index in range(count):
        moment = (index * 0.618) % 1  # spread evenly, not in step with anything
        shots.append(raycast(toy_object(toy_seed(split, index)), moment, cameras)[:2])
    images, alphas = (torch.stack(parts, dim=1) for parts in zip(*shots, strict=True))
    return images, alphas
