"""Alpha of one object in images, and square crops around it."""

from .alpha import check_range, object_alphas
from .background import alpha_from_border
from .crop import CroppedVideo, crop_video
from .generated_views import (
    BackgroundMethod,
    BackgroundRemover,
    keep_background,
    rembg_remover,
    remove_background,
)
from .inspection import bounding_box, cut_off_warning
from .objects import object_masks
from .rembg_masks import DEFAULT_REMBG_MODEL, rembg_masks, require_rembg

__all__ = [
    "DEFAULT_REMBG_MODEL",
    "BackgroundMethod",
    "BackgroundRemover",
    "CroppedVideo",
    "alpha_from_border",
    "bounding_box",
    "check_range",
    "crop_video",
    "cut_off_warning",
    "keep_background",
    "object_alphas",
    "object_masks",
    "rembg_masks",
    "rembg_remover",
    "remove_background",
    "require_rembg",
]
