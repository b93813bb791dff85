"""Write scenes and their renders: images, videos, splat files, the viewer's files; read splat files."""

from .camera_diagram import draw_cameras
from .charts import Line, line_chart
from .formats import EXPORT_FORMATS, ExportFormat
from .fourdgs import write_4dgs
from .fourdgs_reader import Sequence4DGS, read_4dgs
from .frame_files import FRAME_SUFFIXES, find_frame_files, read_frames
from .gltf import encode_glb
from .html import hash_source, write_html
from .images import (
    jpeg_data_uri,
    remove_render_poses,
    render_image_path,
    straight_colors,
    to_pil_image,
    write_contact_sheet,
    write_gray16,
    write_image,
    write_render_folder,
    write_render_poses,
)
from .packages import require_package
from .ply import encode_ply, read_official_ply, read_ply, write_ply
from .s4d import Precision, S4DFile, S4DFrame, S4DScene, encode_s4d, read_s4d, read_s4d_scene, write_s4d
from .sequence import write_splat_sequence
from .splat import encode_splat
from .spz import SpzVersion, write_spz
from .spz_reader import read_spz
from .video import write_mp4

__all__ = [
    "EXPORT_FORMATS",
    "FRAME_SUFFIXES",
    "ExportFormat",
    "Line",
    "Precision",
    "S4DFile",
    "S4DFrame",
    "S4DScene",
    "Sequence4DGS",
    "SpzVersion",
    "draw_cameras",
    "encode_glb",
    "encode_ply",
    "encode_s4d",
    "encode_splat",
    "find_frame_files",
    "hash_source",
    "jpeg_data_uri",
    "line_chart",
    "read_4dgs",
    "read_frames",
    "read_official_ply",
    "read_ply",
    "read_s4d",
    "read_s4d_scene",
    "read_spz",
    "remove_render_poses",
    "render_image_path",
    "require_package",
    "straight_colors",
    "to_pil_image",
    "write_4dgs",
    "write_contact_sheet",
    "write_gray16",
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
