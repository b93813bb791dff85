"""What leaves the scene: pictures, clips and splat files."""

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
from .s4d import Precision, S4DFile, S4DFrame, encode_s4d, read_s4d, write_s4d
from .sequence import write_splat_sequence
from .spz import write_spz
from .video import write_mp4

__all__ = [
    "Precision",
    "S4DFile",
    "S4DFrame",
    "as_picture",
    "encode_ply",
    "encode_s4d",
    "forget_render_poses",
    "read_official_ply",
    "read_ply",
    "read_s4d",
    "render_file",
    "straight_colors",
    "write_4dgs",
    "write_contact_sheet",
    "write_html",
    "write_mp4",
    "write_picture",
    "write_ply",
    "write_render_folder",
    "write_render_poses",
    "write_s4d",
    "write_splat_sequence",
    "write_spz",
]
