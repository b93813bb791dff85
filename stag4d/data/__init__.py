"""Read videos and captures of several cameras; read and write ViewSet folders."""

from .capture_center import parse_center
from .captures import (
    SPLITS,
    UPS,
    Capture,
    CaptureOptions,
    CaptureView,
    Split,
    UpChoice,
    check_cameras,
    find_capture,
    find_view_folders,
    read_capture,
    read_frameset,
    read_multicam,
)
from .frame_source import FrameSource, open_frames
from .frame_times import check_equal_fps, check_span, frames_between, subsampled_fps
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
    "SPLITS",
    "UNFINISHED",
    "UPS",
    "Capture",
    "CaptureOptions",
    "CaptureView",
    "FrameSource",
    "Split",
    "UpChoice",
    "VideoClip",
    "check_cameras",
    "check_equal_fps",
    "check_span",
    "check_views",
    "find_capture",
    "find_videos",
    "find_view_folders",
    "frame_files",
    "frames_between",
    "hold_out_view",
    "open_frames",
    "parse_center",
    "read_capture",
    "read_frames",
    "read_frameset",
    "read_multicam",
    "read_object_frames",
    "read_video",
    "read_views",
    "remove_beyond",
    "subsampled_fps",
    "write_view_frame",
    "write_view_poses",
    "write_views",
]
