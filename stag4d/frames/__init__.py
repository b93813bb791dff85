"""From pictures of one object to frames and mattes."""

from .clip import mattes_of, prepare_clip
from .generated import CutOut, cut_out, keep_whole, rembg_cutter
from .mattes import matte_from_border

__all__ = [
    "CutOut",
    "cut_out",
    "keep_whole",
    "matte_from_border",
    "mattes_of",
    "prepare_clip",
    "rembg_cutter",
]
