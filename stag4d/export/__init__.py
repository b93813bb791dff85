"""What leaves the scene: pictures, clips and splat files."""

from .atomic import replacing
from .pictures import (
    as_picture,
    render_file,
    straight_colors,
    write_contact_sheet,
    write_picture,
    write_render_folder,
    write_render_poses,
)
from .ply import read_official_ply, read_ply, write_ply, write_ply_sequence
from .video import write_mp4

__all__ = [
    "as_picture",
    "read_official_ply",
    "read_ply",
    "render_file",
    "replacing",
    "straight_colors",
    "write_contact_sheet",
    "write_mp4",
    "write_picture",
    "write_ply",
    "write_ply_sequence",
    "write_render_folder",
    "write_render_poses",
]
