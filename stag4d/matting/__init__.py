"""From pictures of one object to frames and mattes."""

from .background import alpha_from_border
from .crop import object_alphas, prepare_frames
from .generated_views import (
    BackgroundMethod,
    BackgroundRemover,
    keep_background,
    rembg_remover,
    remove_background,
)

__all__ = [
    "BackgroundMethod",
    "BackgroundRemover",
    "alpha_from_border",
    "keep_background",
    "object_alphas",
    "prepare_frames",
    "rembg_remover",
    "remove_background",
]
