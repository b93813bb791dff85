"""Uses of a scene: renders of any view, comparison with ground truth."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..evaluation import LearnedMetrics, evaluate_folder
from ..export import (
    remove_render_poses,
    render_image_path,
    straight_colors,
    write_image,
    write_mp4,
    write_render_poses,
)
from ..geometry import OrbitPose
from ..progress import Monitor, silent
from ..rendering import render, render_sequence
from ..scene import GaussianModel4D, SceneInfo
from ..types import Cameras, RenderOutput
from .passes import RenderPass, need_depth, write_passes

TURNTABLE_FRAMES = 60
_TURNTABLE_ELEVATION_DEG = 10.0
_SLOWEST_FPS, _FASTEST_FPS = 1.0, 240.0  # of a scene, for players
_SMOOTH_FPS = 8.0  # of a camera that turns: slower scenes show a frame several times


def write_turntable(
    path: Path,
    model: GaussianModel4D,
    size: int,
    num_frames: int = TURNTABLE_FRAMES,
    monitor: Monitor = silent,
) -> None:
    """Write a video of one turn around the object at a slight elevation, in which the motion repeats.

    The camera moves with the object: it turns around the origin of an object-centered scene.
    """
    model = model.object_centered()
    info = model.info
    frames, fps = _video_frames(info)
    count = len(frames) * max(round(num_frames / len(frames)), 1) if info.num_frames > 1 else num_frames
    poses = [
        replace(
            info.input_pose,
            azimuth_deg=info.input_pose.azimuth_deg + 360 * index / count,
            elevation_deg=_TURNTABLE_ELEVATION_DEG,
        )
        for index in range(count)
    ]
    turning = [frames[index % len(frames)] for index in range(count)]
    write_mp4(path, _rendered(model, poses, turning, size, monitor), fps)


def write_bullet_time(
    path: Path, model: GaussianModel4D, size: int, frame: int, monitor: Monitor = silent
) -> None:
    """Write a video from the input's camera that freezes a frame while the camera turns once, and goes on.

    The camera moves with the object, as in ``write_turntable``.

    Args:
        path: The file; its folder is made when it does not exist.
        model: The scene.
        size: Pixels on a side.
        frame: Frame of the scene, from 0.
        monitor: Called after each frame of the video.

    Raises:
        RuntimeError: if the file cannot be written.
    """
    model = model.object_centered()
    info = model.info
    frames, fps = _video_frames(info)
    turn = [360 * index / TURNTABLE_FRAMES for index in range(1, TURNTABLE_FRAMES + 1)]
    before = [shown for shown in frames if shown <= frame]
    after = [shown for shown in frames if shown > frame]
    angles = [0.0] * len(before) + turn + [0.0] * len(after)
    poses = [replace(info.input_pose, azimuth_deg=info.input_pose.azimuth_deg + angle) for angle in angles]
    shown_frames = [*before, *[frame] * len(turn), *after]
    write_mp4(path, _rendered(model, poses, shown_frames, size, monitor), fps)


def _video_frames(info: SceneInfo) -> tuple[list[int], float]:
    """Return the frames of a video of the scene, repeated where it is slow, and its frames per second."""
    fps = min(max(info.fps, _SLOWEST_FPS), _FASTEST_FPS)
    repeats = math.ceil(_SMOOTH_FPS / fps)
    return [frame for frame in range(info.num_frames) for _ in range(repeats)], fps * repeats


def _rendered(
    model: GaussianModel4D, poses: list[OrbitPose], frames: list[int], size: int, monitor: Monitor
) -> Iterator[Tensor]:
    """Yield an image [S, S, 3] on white for each pose and frame, one at a time: a video may be long."""
    cameras = Cameras.from_poses(poses, size, size)
    for index, frame in enumerate(frames):
        yield render_sequence(model, cameras[[index]], model.frame_times[[frame]]).images[0]
        monitor("render", index + 1, len(frames))


def render_views(
    model: GaussianModel4D, poses: list[OrbitPose], frames: list[int], size: int
) -> tuple[Tensor, Tensor]:
    """Render V views of T frames.

    Returns:
        Straight colors [V, T, S, S, 3] and alphas [V, T, S, S].
    """
    cameras = Cameras.from_poses(poses, size, size).to(model.device)
    images, alphas = [], []
    for frame in frames:
        output = _render_frame(model, cameras, frame)
        images.append(straight_colors(output.images, output.alphas).cpu())
        alphas.append(output.alphas.cpu())
    return torch.stack(images, dim=1), torch.stack(alphas, dim=1)


@torch.no_grad()
def render_frames(model: GaussianModel4D, cameras: Cameras) -> tuple[Tensor, Tensor]:
    """Render each of F frames from its own camera.

    Returns:
        Straight colors [F, H, W, 3] and alphas [F, H, W].
    """
    cameras = cameras.to(model.device)
    images, alphas = [], []
    for frame in range(len(cameras)):
        output = _render_frame(model, cameras[[frame]], frame)
        images.append(straight_colors(output.images, output.alphas).cpu())
        alphas.append(output.alphas.cpu())
    return torch.cat(images), torch.cat(alphas)


@torch.no_grad()
def _render_frame(
    model: GaussianModel4D, cameras: Cameras, frame: int, with_depth: bool = False
) -> RenderOutput:
    """Render a frame on black from all cameras."""
    deformed = model.at(model.frame_times[[frame]])[0]
    return render(deformed, cameras, background=(0.0, 0.0, 0.0), with_depth=with_depth)


def write_views_of(
    folder: Path,
    model: GaussianModel4D,
    poses: list[OrbitPose],
    frames: list[int],
    size: int,
    monitor: Monitor = silent,
    passes: Collection[RenderPass] = (),
) -> None:
    """Render views of frames into a folder, as ``stag4d render`` does, with passes beside the colors."""
    remove_render_poses(folder)
    cameras = Cameras.from_poses(poses, size, size).to(model.device)
    for done, frame in enumerate(frames, start=1):  # one at a time: a long video need not fit in memory
        output = _render_frame(model, cameras, frame, need_depth(passes))
        images = straight_colors(output.images, output.alphas)  # [V, S, S, 3]
        for view, (image, alpha) in enumerate(zip(images, output.alphas, strict=True)):
            write_image(render_image_path(folder, view, frame), image, alpha)
        write_passes(folder, output, cameras, frame, passes)
        monitor("render", done, len(frames))
    write_render_poses(folder, size, poses, frames, model.info.fps, model.info.num_frames)


def evaluate(
    model: GaussianModel4D,
    truth: Path,
    monitor: Monitor = silent,
    learned: LearnedMetrics | None = None,
) -> dict[str, Any]:
    """Measure a scene against a folder of ground-truth images, see ``evaluate_folder``."""

    @torch.no_grad()
    def render_at(cameras: Cameras, frame_time: float) -> RenderOutput:
        deformed = model.at(torch.tensor([frame_time], device=model.device))[0]
        return render(deformed, cameras.to(model.device))

    return evaluate_folder(render_at, truth, model.info.num_frames, monitor, learned)
