"""Read videos; read and write ViewSet folders."""

from .frame_times import subsampled_fps
from .video import VideoClip, read_video
from .view_folder import (
    check_views,
    hold_out_view,
    read_views,
    remove_beyond,
    write_view_frame,
    write_view_poses,
    write_views,
)
from .view_layout import LATENTS_SUFFIX, UNFINISHED

__all__ = [
    "LATENTS_SUFFIX",
    "UNFINISHED",
    "VideoClip",
    "check_views",
    "hold_out_view",
    "read_video",
    "read_views",
    "remove_beyond",
    "subsampled_fps",
    "write_view_frame",
    "write_view_poses",
    "write_views",
]
