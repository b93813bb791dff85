"""Renders of toys: view sets to fit scenes to, and ground truth to measure them against."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ..geometry import OrbitPose, zero123plus_rig
from ..progress import Monitor, silent
from ..types import Cameras, frame_times
from ..view_set import ViewSet
from .objects import Split, ToyObject, toy_object, toy_seed
from .raycast import raycast

TEST_AZIMUTHS_DEG = (-75.0, 15.0, 105.0, 195.0)  # Consistent4D's test views, elevation 0
INPUT_POSE = OrbitPose(azimuth_deg=0.0)
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
        seed: Seed of the toy, see ``toy_seed``.
        num_frames: F, at least 1.
        size: S, pixels along each side of every image.
        plan: Name of a body plan or character, see ``toy_object``.
        monitor: Progress callback with the stage ``render``, called several times per image, with the last
            image on white as preview.

    Returns:
        Images [F, S, S, 3] and view images [F, 6, S, S, 3], with their alphas.

    Raises:
        ValueError: if a number is out of range or the plan unknown.
        Interrupted: if the monitor cancels.
    """
    poses = (INPUT_POSE, *zero123plus_rig("v1.1"))
    images, alphas = toy_truth(seed, poses, num_frames, size, plan, monitor)
    return ViewSet.from_orbit(
        images=images[0].clone(),  # a view would keep all images in memory
        alphas=alphas[0].clone(),
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
    """Render F frames of a toy from V cameras.

    Args:
        seed: Seed of the toy, see ``toy_seed``.
        poses: Poses of the V cameras.
        num_frames: F, at least 1; the times are ``frame_times(F)``.
        size: S, pixels along each side of every image.
        plan: Name of a body plan or character, see ``toy_object``.
        monitor: Progress callback with the stage ``render``, called several times per image, with the last
            image on white as preview.

    Returns:
        Straight colors [V, F, S, S, 3], white where alpha is 0, and alphas [V, F, S, S].

    Raises:
        ValueError: if a number is out of range, the plan unknown, or there is no pose.
        Interrupted: if the monitor cancels.
    """
    if num_frames < 1:
        raise ValueError(f"toy: {num_frames} frames; expected at least one.")
    if not poses:
        raise ValueError("toy: no camera poses; expected at least one.")
    cameras = Cameras.from_poses(poses, size, size)
    return render_toy(toy_object(seed, plan), cameras, frame_times(num_frames).tolist(), monitor)


def render_toy(
    toy: ToyObject, cameras: Cameras, times: Sequence[float], monitor: Monitor = silent
) -> tuple[Tensor, Tensor]:
    """Render a toy at F times from C cameras.

    Args:
        toy: The toy.
        cameras: C cameras of any projection, intrinsics and image size, outside the toy, on the CPU.
        times: F times in [0, 1].
        monitor: Progress callback with the stage ``render``, called several times per image, with the last
            image on white as preview.

    Returns:
        Straight colors [C, F, H, W, 3], white where alpha is 0, and alphas [C, F, H, W].

    Raises:
        ValueError: if a time is outside [0, 1].
        Interrupted: if the monitor cancels.
    """
    shape = (len(cameras), len(times), cameras.height, cameras.width)
    images, alphas = torch.empty(*shape, 3), torch.empty(shape)
    num_images = len(cameras) * len(times)
    for index in range(num_images):
        view, frame = divmod(index, len(times))
        check = partial(monitor, "render", index, num_images)
        image, alpha, _ = raycast(toy, times[frame], cameras[[view]], check=check)
        images[view, frame], alphas[view, frame] = image[0], alpha[0]
        monitor("render", index + 1, num_images, preview=partial(_on_white, image[0], alpha[0]))
    return images, alphas


def _on_white(image: Tensor, alpha: Tensor) -> Tensor:
    """Return an image [H, W, 3] composited on white."""
    return image * alpha[..., None] + 1 - alpha[..., None]


def render_toys(
    split: Split, count: int, poses: Sequence[OrbitPose], size: int, plan: str | None = None
) -> tuple[Tensor, Tensor]:
    """Render the first N toys of a split from V cameras, each at another time.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        count: N, at least 1.
        poses: Poses of the V cameras, at least one.
        size: S, pixels along each side.
        plan: Name of a body plan or character, see ``toy_object``.

    Returns:
        Straight colors [V, N, S, S, 3], white where alpha is 0, and alphas [V, N, S, S].

    Raises:
        ValueError: if a number is out of range, the split or plan unknown, or there is no pose.
    """
    if count < 1:
        raise ValueError(f"toys: {count} of split {split!r}; expected at least one.")
    if not poses:
        raise ValueError("toys: no camera poses; expected at least one.")
    cameras = Cameras.from_poses(poses, size, size)
    renders = []
    for index in range(count):
        time = (index * 0.618) % 1  # golden ratio: evenly spread for any count
        renders.append(raycast(toy_object(toy_seed(split, index), plan), time, cameras)[:2])
    images, alphas = (torch.stack(parts, dim=1) for parts in zip(*renders, strict=True))
    return images, alphas
