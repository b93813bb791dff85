"""What leaves the scene: pictures, clips and splat files."""

from .clip import Precision, pack_clip, write_clip
from .clip_reading import Clip, ClipFrame, read_clip
from .fourdgs import write_4dgs
from .html import write_html
from .pictures import (
    as_picture,
    forget_render_poses,
    render_file,
    straight_colors,
    write_contact_sheet,
    write_picture,
    write_render_folder,
    write_render_poses,
)
from .ply import encode_ply, read_official_ply, read_ply, write_ply
from .sequence import write_splat_sequence
from .spz import write_spz
from .video import write_mp4

__all__ = [
    "Clip",
    "ClipFrame",
    "Precision",
    "as_picture",
    "encode_ply",
    "forget_render_poses",
    "pack_clip",
    "read_clip",
    "read_official_ply",
    "read_ply",
    "render_file",
    "straight_colors",
    "write_4dgs",
    "write_clip",
    "write_contact_sheet",
    "write_html",
    "write_mp4",
    "write_picture",
    "write_ply",
    "write_render_folder",
    "write_render_poses",
    "write_splat_sequence",
    "write_spz",
]
