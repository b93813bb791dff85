"""Render passes: alpha, depth and normals of views as image files beside the colors."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal, cast, get_args

import torch
from torch import Tensor

from ..export import render_image_path, write_gray16, write_image
from ..rendering import encode_normals, normals_from_depth
from ..types import Cameras, RenderOutput

RenderPass = Literal["alpha", "depth", "normals"]
RENDER_PASSES: tuple[RenderPass, ...] = get_args(RenderPass)
DEPTH_RANGE = 2.0  # largest depth, as a multiple of the camera's distance from the origin


def need_depth(passes: Collection[RenderPass]) -> bool:
    """Return whether one of the passes is computed from depths."""
    return not {"depth", "normals"}.isdisjoint(passes)


@torch.no_grad()
def write_passes(
    folder: Path, output: RenderOutput, cameras: Cameras, frame: int, passes: Collection[RenderPass]
) -> None:
    """Write passes of a frame as ``view{v}_frame{f:04d}_{pass}.png``.

    ``alpha`` is 16-bit gray. ``depth`` is 16-bit gray, camera z from 0 to ``DEPTH_RANGE`` times the distance
    of the camera from the origin as 0 to 65535; 0 is background. ``normals`` is 8-bit RGB, see
    ``encode_normals``.

    Args:
        folder: The folder; made when it does not exist.
        output: Renders [V, H, W, 3], with depths if ``need_depth(passes)``.
        cameras: V cameras, on the renders' device.
        frame: Frame of the scene, from 0.
        passes: Which passes to write.

    Raises:
        RuntimeError: if a file cannot be written.
    """
    # The length of the translation, in double precision: exact for cameras that look at the origin.
    distances = cameras.viewmats[:, :3, 3].cpu().double().norm(dim=-1).tolist()
    for view, distance in enumerate(distances):
        alphas = output.alphas[view].clamp(0, 1)
        if "alpha" in passes:
            write_gray16(render_image_path(folder, view, frame, "alpha"), alphas)
        if not need_depth(passes):
            continue
        depths = cast(Tensor, output.depths)[view]
        if "depth" in passes:
            write_gray16(render_image_path(folder, view, frame, "depth"), _relative(depths, alphas, distance))
        if "normals" in passes:
            K = cameras.Ks[view, None]
            normals = normals_from_depth(depths[None], alphas[None], K, cameras.projection)
            write_image(render_image_path(folder, view, frame, "normals"), encode_normals(normals[0]))


def _relative(depths: Tensor, alphas: Tensor, distance: float) -> Tensor:
    """Return depths [H, W] as shares of the largest one, 0 where alpha is at most one half."""
    return torch.where(alphas > 0.5, depths / (DEPTH_RANGE * distance), 0.0).clamp(0, 1)
