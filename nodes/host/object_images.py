"""Images of objects from IMAGE, MASK and VIDEO sockets, as copies that can be used in an optimization."""

from __future__ import annotations

import torch
from comfy_api.latest import Input

from ...stag4d.data import read_frames
from ...stag4d.matting import object_alphas
from ...stag4d.pipeline import ObjectImages
from .frame_selection import with_alphas
from .memory import require_memory
from .progress import ReadMonitor
from .video_input import decoded_video, has_file, opened_video

PIXEL_BYTES = 13  # of a frame of a video: color and alpha, uint8, the alpha as float32, and intermediate ones


def object_images(name: str, images: torch.Tensor, mask: torch.Tensor | None) -> ObjectImages:
    """Return the colors [N, H, W, 3] and alphas [N, H, W] of an input, float32 on the CPU."""
    copy = images.to("cpu", torch.float32, copy=True)  # [N, H, W, 3 or 4]
    given = None if mask is None else mask.to("cpu", torch.float32, copy=True)
    alphas = object_alphas(copy, given, subject=name)  # it refuses values that are far from 0..1
    return ObjectImages(copy[..., :3].clamp(0, 1), alphas)


def video_frames(video: Input.Video) -> tuple[torch.Tensor, float]:
    """Return all frames of a VIDEO, uint8 [F, H, W, 3], or 4 with alpha, and its frames per second."""
    if not has_file(video):
        decoded, fps = decoded_video(video)
        return _to_bytes(decoded.cpu()), fps
    monitor = ReadMonitor()
    with opened_video(video, monitor) as (source, available):
        monitor.begin_frames()
        clip = read_frames(source, available, check_shape=_require_room)
        return clip.frames, clip.fps


def object_frames(name: str, frames: torch.Tensor, mask: torch.Tensor | None) -> ObjectImages:
    """Return the colors [F, H, W, 3] and alphas [F, H, W] of a video, uint8.

    Args:
        name: Name of the input for error messages.
        frames: [F, H, W, 3 or 4] uint8.
        mask: [F, H, W], or None for the alpha of the frames or a plain background.
    """
    given = None if mask is None else mask.to("cpu", torch.float32, copy=True)
    images, found = with_alphas(frames, given, invert=False)
    alphas = object_alphas(images, found, subject=name)
    # A copy: a view would keep all frames of a video that is cut, and the alphas beside the colors.
    colors = images[..., :3].clone(memory_format=torch.contiguous_format)
    return ObjectImages(colors, _to_bytes(alphas))


def _require_room(shape: tuple[int, ...]) -> None:
    """Raise ValueError unless frames of a shape [F, H, W, C] fit into memory."""
    count, height, width, _ = shape
    require_memory(f"{count} frames of {width}x{height}", count * height * width * PIXEL_BYTES)


def _to_bytes(values: torch.Tensor) -> torch.Tensor:
    """Return values 0..1 as uint8."""
    return values.float().clamp(0, 1).mul(255).round().to(torch.uint8)
