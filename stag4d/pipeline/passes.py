"""Render passes: alpha, depth and normals of views as image files beside the colors."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal, cast, get_args

import torch
from torch import Tensor

from ..export import render_image_path, write_gray16, write_image
from ..geometry import OrbitPose
from ..rendering import encode_normals, normals_from_depth, render
from ..scene import GaussianModel4D
from ..types import Cameras

RenderPass = Literal["alpha", "depth", "normals"]
RENDER_PASSES: tuple[RenderPass, ...] = get_args(RenderPass)
DEPTH_RANGE = 2.0  # largest depth, as a multiple of the camera's distance from the origin


@torch.no_grad()
def write_passes(
    folder: Path,
    model: GaussianModel4D,
    poses: list[OrbitPose],
    frame: int,
    size: int,
    passes: Collection[RenderPass],
) -> None:
    """Write passes of a frame as ``view{v}_frame{f:04d}_{pass}.png``.

    ``alpha`` is 16-bit gray. ``depth`` is 16-bit gray, camera z from 0 to ``DEPTH_RANGE`` times the distance
    of the camera from the origin as 0 to 65535; 0 is background. ``normals`` is 8-bit RGB, see
    ``encode_normals``.

    Args:
        folder: The folder; made when it does not exist.
        model: The scene.
        poses: V cameras.
        frame: Frame of the scene, from 0.
        size: Pixels on a side.
        passes: Which passes to write.

    Raises:
        RuntimeError: if a file cannot be written.
    """
    cameras = Cameras.from_poses(poses, size, size).to(model.device)
    output = render(model.at(model.frame_times[[frame]])[0], cameras, with_depth=True)
    all_depths = cast(Tensor, output.depths)  # [V, S, S]
    for view, pose in enumerate(poses):
        alphas, depths = output.alphas[view].clamp(0, 1), all_depths[view]
        if "alpha" in passes:
            write_gray16(render_image_path(folder, view, frame, "alpha"), alphas)
        if "depth" in passes:
            write_gray16(render_image_path(folder, view, frame, "depth"), _relative(depths, alphas, pose))
        if "normals" in passes:
            normals = normals_from_depth(depths[None], alphas[None], cameras.Ks[view, None])
            write_image(render_image_path(folder, view, frame, "normals"), encode_normals(normals[0]))


def _relative(depths: Tensor, alphas: Tensor, pose: OrbitPose) -> Tensor:
    """Return depths [H, W] as shares of the largest one, 0 where alpha is at most one half."""
    return torch.where(alphas > 0.5, depths / (DEPTH_RANGE * pose.radius), 0.0).clamp(0, 1)
