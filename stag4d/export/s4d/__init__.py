"""The viewer's container, ``.s4d``: written and read, its bytes specified in ``writer``."""

from .reader import S4DFile, S4DFrame, read_s4d
from .writer import Precision, encode_s4d, write_s4d

__all__ = ["Precision", "S4DFile", "S4DFrame", "encode_s4d", "read_s4d", "write_s4d"]
