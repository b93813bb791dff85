"""PNG files: single images, contact sheets, and the folder of renders that ``stag4d render`` writes."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..atomic import replacing
from ..geometry import OrbitPose
from ..geometry.pose_json import pose_to_json

_RENDER_FOLDER_VERSION = 1
_GAP = 2  # pixels between the images of a contact sheet, white
_JPEG_QUALITY = 85  # of 100
_COMPRESSION = 4  # of 9: nearly the smallest files in a third of the time


def straight_colors(premultiplied: Tensor, alphas: Tensor) -> Tensor:
    """Return the straight colors of renders on black, 0 where alpha is 0.

    Args:
        premultiplied: [..., H, W, 3], renders on a black background, which are premultiplied by alpha.
        alphas: [..., H, W].

    Returns:
        Colors [..., H, W, 3], 0..1.
    """
    alphas = alphas[..., None]  # [..., H, W, 1]
    return torch.where(alphas > 1e-4, premultiplied / alphas.clamp_min(1e-4), 0.0).clamp(0, 1)


def write_image(path: str | Path, image: Tensor, alpha: Tensor | None = None) -> None:
    """Write an 8-bit PNG: RGBA with straight alpha, or RGB without alpha.

    Args:
        path: The file; its folder is made when it does not exist.
        image: Straight colors [H, W, 3], clipped to 0..1.
        alpha: [H, W], clipped to 0..1, or None.

    Raises:
        ValueError: if the image or alpha has another shape or a value is not finite.
        RuntimeError: if the file cannot be written.
    """
    if image.ndim != 3 or image.shape[-1] != 3 or (alpha is not None and alpha.shape != image.shape[:2]):
        shapes = [list(part.shape) for part in (image, alpha) if part is not None]
        raise ValueError(f"{path}: image and alpha of shapes {shapes}; expected [H, W, 3] and [H, W].")
    pixels = image if alpha is None else torch.cat([image, alpha[..., None].to(image)], dim=-1)
    if not torch.isfinite(pixels).all():
        raise ValueError(f"{path}: not-a-number or infinite pixels; every value must be finite.")
    with replacing(Path(path)) as temporary:
        to_pil_image(pixels).save(temporary, format="PNG", compress_level=_COMPRESSION)


def write_gray16(path: str | Path, values: Tensor) -> None:
    """Write a gray PNG of 16 bits.

    Args:
        path: The file; its folder is made when it does not exist.
        values: [H, W], 0..1, as 0 to 65535.

    Raises:
        RuntimeError: if the file cannot be written.
    """
    quantized = (values.detach().cpu().double().clamp(0, 1) * 65535).round().numpy().astype(np.uint16)
    with replacing(Path(path)) as temporary:
        Image.fromarray(quantized).save(temporary, format="PNG", compress_level=_COMPRESSION)


def to_pil_image(pixels: Tensor) -> Image.Image:
    """Convert finite pixels [H, W, 3 or 4], clipped to 0..1, to an 8-bit RGB or RGBA image."""
    quantized = (pixels.detach().cpu().float().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return Image.fromarray(np.ascontiguousarray(quantized))


def jpeg_data_uri(pixels: Tensor) -> str:
    """Return an image [H, W, 3] uint8 as a JPEG in a ``data:`` URI, for HTML."""
    content = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.cpu().numpy())).save(content, "JPEG", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def write_contact_sheet(path: str | Path, images: Tensor, columns: int) -> None:
    """Write images in a grid, row by row, on white.

    Args:
        path: The PNG file; its folder is made when it does not exist.
        images: [N, H, W, 3], 0..1, without alpha.
        columns: Largest number of images in a row.

    Raises:
        ValueError: if there are no images, they have another shape, or ``columns`` is below 1.
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
    write_image(path, sheet)


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
        images: Straight colors [V, T, S, S, 3] (see ``straight_colors`` for renders on black).
        alphas: [V, T, S, S].
        poses: V cameras.
        frames: T frame numbers of the scene, from 0.
        fps: Frames a second of the scene.
        num_frames: Number of frames of the scene; frame f is at time f / (num_frames - 1).

    Raises:
        ValueError: if the shapes do not match or a frame is not one of the scene.
        RuntimeError: if a file cannot be written.
    """
    lead = (len(poses), len(frames))
    if images.ndim != 5 or images.shape[:2] != lead or images.shape[2] != images.shape[3]:
        raise ValueError(f"renders: images have shape {list(images.shape)}; expected {[*lead, 'S', 'S', 3]}.")
    if alphas.shape != images.shape[:-1]:
        raise ValueError(f"renders: alphas have shape {list(alphas.shape)}; expected {[*images.shape[:-1]]}.")
    _check_frames(frames, num_frames)
    remove_render_poses(folder)
    for view in range(len(poses)):
        for index, frame in enumerate(frames):
            write_image(render_image_path(folder, view, frame), images[view, index], alphas[view, index])
    write_render_poses(folder, images.shape[2], poses, frames, fps, num_frames)


def render_image_path(folder: str | Path, view: int, frame: int, render_pass: str = "") -> Path:
    """Return the path of an image in a folder of renders.

    Args:
        folder: The folder.
        view: From 0.
        frame: From 0.
        render_pass: Name of a pass, such as ``depth``; empty for the colors.
    """
    suffix = f"_{render_pass}" if render_pass else ""
    return Path(folder) / f"view{view}_frame{frame:04d}{suffix}.png"


def remove_render_poses(folder: str | Path) -> None:
    """Remove the ``views.json`` of a folder of renders, before its images are replaced."""
    (Path(folder) / "views.json").unlink(missing_ok=True)


def write_render_poses(
    folder: str | Path,
    size: int,
    poses: Sequence[OrbitPose],
    frames: Sequence[int],
    fps: float,
    num_frames: int,
) -> None:
    """Write the ``views.json`` of a folder of renders whose images are written one by one.

    It is written last, so that a folder with it is complete.

    Args:
        folder: The folder; made when it does not exist.
        size: Width and height of the images, pixels.
        poses: See ``write_render_folder``, as the arguments below.
        frames: T frame numbers.
        fps: Frames a second.
        num_frames: Number of frames of the scene.

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
