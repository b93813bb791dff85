"""Read videos; read and write ViewSet folders."""

from .frame_source import FrameSource, open_frames
from .frame_times import check_span, frames_between, subsampled_fps
from .object_frames import read_object_frames
from .video import VideoClip, read_frames, read_video
from .video_listing import find_videos, frame_files
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
    "FrameSource",
    "VideoClip",
    "check_span",
    "check_views",
    "find_videos",
    "frame_files",
    "frames_between",
    "hold_out_view",
    "open_frames",
    "read_frames",
    "read_object_frames",
    "read_video",
    "read_views",
    "remove_beyond",
    "subsampled_fps",
    "write_view_frame",
    "write_view_poses",
    "write_views",
]
