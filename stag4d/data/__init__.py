"""What is on disk: clips and ViewSet folders; and what one optimisation step sees of them."""

from .video import VideoClip, kept_rate, read_video
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
    "VideoClip",
    "hold_out_view",
    "kept_rate",
    "read_video",
    "read_views",
    "remove_beyond",
    "write_view_frame",
    "write_view_poses",
    "write_views",
]
