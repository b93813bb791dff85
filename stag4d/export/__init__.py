"""Write scenes and their renders: images, videos, splat files, the viewer's files; read splat files."""

from .formats import EXPORT_FORMATS, ExportFormat
from .fourdgs import write_4dgs
from .html import write_html
from .images import (
    remove_render_poses,
    render_image_path,
    straight_colors,
    to_pil_image,
    write_contact_sheet,
    write_image,
    write_render_folder,
    write_render_poses,
)
from .ply import encode_ply, read_official_ply, read_ply, write_ply
from .s4d import Precision, S4DFile, S4DFrame, encode_s4d, read_s4d, write_s4d
from .sequence import write_splat_sequence
from .spz import write_spz
from .video import write_mp4

__all__ = [
    "EXPORT_FORMATS",
    "ExportFormat",
    "Precision",
    "S4DFile",
    "S4DFrame",
    "encode_ply",
    "encode_s4d",
    "read_official_ply",
    "read_ply",
    "read_s4d",
    "remove_render_poses",
    "render_image_path",
    "straight_colors",
    "to_pil_image",
    "write_4dgs",
    "write_contact_sheet",
    "write_html",
    "write_image",
    "write_mp4",
    "write_ply",
    "write_render_folder",
    "write_render_poses",
    "write_s4d",
    "write_splat_sequence",
    "write_spz",
]
