"""PNG pictures: one with its matte, a contact sheet, and the folder that ``stag4d render`` makes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..atomic import replacing
from ..geometry import OrbitPose
from ..geometry.pose_json import pose_to_json

_RENDER_FOLDER_VERSION = 1
_GAP = 2  # white pixels between the pictures of a contact sheet
_COMPRESSION = 4  # of 9: most of the gain, a third of the time


def straight_colors(premultiplied: Tensor, alphas: Tensor) -> Tensor:
    """Return straight colors of renders on black, zero where nothing is.

    Args:
        premultiplied: [..., H, W, 3] renders on a black background.
        alphas: [..., H, W].

    Returns:
        [..., H, W, 3], 0..1.
    """
    alphas = alphas[..., None]  # [..., H, W, 1]
    return torch.where(alphas > 1e-4, premultiplied / alphas.clamp_min(1e-4), 0.0).clamp(0, 1)


def write_picture(path: str | Path, image: Tensor, alpha: Tensor | None = None) -> None:
    """Write one 8-bit PNG, RGBA with straight alpha, or RGB without.

    Args:
        path: The file; its folder is made when it does not exist.
        image: [H, W, 3] straight colors; what lies outside 0..1 is clipped.
        alpha: [H, W], or None.

    Raises:
        ValueError: if the shapes are others or a value is not finite.
        RuntimeError: if the file cannot be written.
    """
    if image.ndim != 3 or image.shape[-1] != 3 or (alpha is not None and alpha.shape != image.shape[:2]):
        shapes = [list(part.shape) for part in (image, alpha) if part is not None]
        raise ValueError(f"{path}: image and matte of shapes {shapes}; expected [H, W, 3] and [H, W].")
    pixels = image if alpha is None else torch.cat([image, alpha[..., None].to(image)], dim=-1)
    if not torch.isfinite(pixels).all():
        raise ValueError(f"{path}: not-a-number or infinite pixels; every value must be finite.")
    with replacing(Path(path)) as temporary:
        as_picture(pixels).save(temporary, format="PNG", compress_level=_COMPRESSION)


def as_picture(pixels: Tensor) -> Image.Image:
    """Return finite pixels [H, W, 3 or 4] as an 8-bit picture; what lies outside 0..1 is clipped."""
    quantized = (pixels.detach().cpu().float().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return Image.fromarray(np.ascontiguousarray(quantized))


def write_contact_sheet(path: str | Path, images: Tensor, columns: int) -> None:
    """Write pictures side by side, row by row, on white.

    Args:
        path: The PNG file.
        images: [N, H, W, 3], 0..1, already on a background.
        columns: Pictures a row, at most.

    Raises:
        ValueError: if there are no pictures or the shapes are others.
        RuntimeError: if the file cannot be written.
    """
    if images.ndim != 4 or images.shape[-1] != 3 or not len(images):
        raise ValueError(f"{path}: images of shape {list(images.shape)}; expected [N, H, W, 3], N > 0.")
    if columns < 1:
        raise ValueError(f"{path}: {columns} columns; expected at least one.")
    count, height, width = images.shape[:3]
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    sheet = torch.ones(rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3)
    for index, image in enumerate(images):
        top, left = index // columns * (height + _GAP), index % columns * (width + _GAP)
        sheet[top : top + height, left : left + width] = image.detach().cpu()
    write_picture(path, sheet)


def write_render_folder(
    folder: str | Path,
    images: Tensor,
    alphas: Tensor,
    poses: Sequence[OrbitPose],
    frames: Sequence[int],
    fps: float,
    num_frames: int,
) -> None:
    """Write renders as ``view{v}_frame{f:04d}.png``, RGBA with straight alpha, and ``views.json``.

    Args:
        folder: The folder; made when it does not exist.
        images: [V, T, S, S, 3] straight colors (``straight_colors`` makes them from renders on black).
        alphas: [V, T, S, S].
        poses: V cameras.
        frames: T frame numbers of the scene, from 0.
        fps: Frames a second of the scene.
        num_frames: Frames of the whole scene; frame f is at time f / (num_frames - 1).

    Raises:
        ValueError: if the shapes do not fit each other.
        RuntimeError: if a file cannot be written.
    """
    lead = (len(poses), len(frames))
    if images.ndim != 5 or images.shape[:2] != lead or images.shape[2] != images.shape[3]:
        raise ValueError(f"renders: images have shape {list(images.shape)}; expected {[*lead, 'S', 'S', 3]}.")
    if alphas.shape != images.shape[:-1]:
        raise ValueError(f"renders: mattes have shape {list(alphas.shape)}; expected {[*images.shape[:-1]]}.")
    _check_frames(frames, num_frames)
    forget_render_poses(folder)
    for view in range(len(poses)):
        for index, frame in enumerate(frames):
            write_picture(render_file(folder, view, frame), images[view, index], alphas[view, index])
    write_render_poses(folder, images.shape[2], poses, frames, fps, num_frames)


def render_file(folder: str | Path, view: int, frame: int) -> Path:
    """Return where a folder of renders has the picture of a view, counted from 0, at a frame of the scene."""
    return Path(folder) / f"view{view}_frame{frame:04d}.png"


def forget_render_poses(folder: str | Path) -> None:
    """Remove the ``views.json`` of a folder of renders before its pictures are replaced by others."""
    (Path(folder) / "views.json").unlink(missing_ok=True)


def write_render_poses(
    folder: str | Path,
    size: int,
    poses: Sequence[OrbitPose],
    frames: Sequence[int],
    fps: float,
    num_frames: int,
) -> None:
    """Write the ``views.json`` of a folder of renders, for pictures of ``size`` pixels that come one by one.

    Written last, it vouches for the pictures. The other arguments are those of ``write_render_folder``.

    Raises:
        ValueError: if a frame is not one of the scene.
        RuntimeError: if the file cannot be written.
    """
    _check_frames(frames, num_frames)
    document = {
        "version": _RENDER_FOLDER_VERSION,
        "fps": fps,
        "size": size,
        "frames": [int(frame) for frame in frames],
        "num_frames": num_frames,
        "views": [pose_to_json(pose) for pose in poses],
    }
    with replacing(Path(folder) / "views.json") as temporary:
        temporary.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _check_frames(frames: Sequence[int], num_frames: int) -> None:
    """Raise ValueError if a frame is not one of the scene."""
    if len(frames) and not 0 <= min(frames) <= max(frames) < num_frames:
        raise ValueError(f"renders: frames {min(frames)} to {max(frames)}; expected 0 to {num_frames - 1}.")
