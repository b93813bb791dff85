"""``.s4d`` files, the container that the viewer loads; the format is specified in ``writer``."""

from .frames import s4d_frames
from .reader import S4DFile, S4DFrame, read_s4d
from .writer import Precision, encode_s4d, write_s4d

__all__ = ["Precision", "S4DFile", "S4DFrame", "encode_s4d", "read_s4d", "s4d_frames", "write_s4d"]
