"""Progress and previews while the views of a video are generated."""

from typing import Any

import torch

from ...stag4d.export import to_pil_image
from .progress import HostMonitor

PREVIEW_SIZE = 512  # longest side, pixels
PREVIEW_SECONDS = 0.5


def view_monitor(num_frames: int, num_steps: int) -> HostMonitor:
    """Return a monitor that counts the encoding or decoding of a frame as one of its diffusion steps."""
    return HostMonitor(
        _preview_image,
        preview_seconds=PREVIEW_SECONDS,
        preview_size=PREVIEW_SIZE,
        start=0,
        encode=num_frames,
        denoise=num_frames * num_steps,
        decode=num_frames,
    )


def _preview_image(image: torch.Tensor) -> Any:
    """Return a preview [h, w, 3], one pixel per latent, enlarged to the preview's size (PIL)."""
    small = to_pil_image(image)
    scale = max(PREVIEW_SIZE // max(small.size), 1)
    return small.resize((small.width * scale, small.height * scale))
