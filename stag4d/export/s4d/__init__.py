"""``.s4d`` files, the container that the viewer loads; the format is specified in ``writer``."""

from .frames import S4DScene, read_s4d_scene
from .reader import S4DFile, S4DFrame, read_s4d
from .writer import Precision, encode_s4d, write_s4d

__all__ = [
    "Precision",
    "S4DFile",
    "S4DFrame",
    "S4DScene",
    "encode_s4d",
    "read_s4d",
    "read_s4d_scene",
    "write_s4d",
]
