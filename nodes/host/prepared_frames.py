"""Prepared frames of IMAGE and MASK sockets as the input video of a multi-view model."""

from __future__ import annotations

import torch

from ...stag4d.matting import object_alphas
from ...stag4d.types import InputVideo


def input_video(
    images: torch.Tensor,
    mask: torch.Tensor | None,
    fps: float,
    elevation_deg: float,
    offsets: torch.Tensor | None,
) -> InputVideo:
    """Return copies of the frames, and their alphas, on the CPU; raises ValueError if an alpha is missing."""
    frames = images.to("cpu", torch.float32, copy=True)  # [F, S, S, 3 or 4]
    given = None if mask is None else mask.to("cpu", torch.float32, copy=True)
    alphas = object_alphas(frames, given, subject="frames")  # it refuses values that are far from 0..1
    moved = None if offsets is None else offsets.clone()
    return InputVideo(frames[..., :3].clamp(0, 1), alphas, fps, elevation_deg, moved)
