"""What is on disk: clips and ViewSet folders; and what one optimisation step sees of them."""

from .clip_files import Clip, kept_rate, read_clip
from .training_views import Targets, TrainingViews
from .view_folder import (
    hold_out_view,
    read_views,
    remove_beyond,
    write_view_frame,
    write_view_poses,
    write_views,
)
from .view_layout import UNFINISHED

__all__ = [
    "UNFINISHED",
    "Clip",
    "Targets",
    "TrainingViews",
    "hold_out_view",
    "kept_rate",
    "read_clip",
    "read_views",
    "remove_beyond",
    "write_view_frame",
    "write_view_poses",
    "write_views",
]
