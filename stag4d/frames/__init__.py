"""From pictures of one object to frames and mattes."""

from .clip import mattes_of, prepare_clip
from .generated import CutOut, cut_out, rembg_cutter
from .mattes import matte_from_border

__all__ = ["CutOut", "cut_out", "matte_from_border", "mattes_of", "prepare_clip", "rembg_cutter"]
