"""From pictures of one object to frames and mattes."""

from .clip import mattes_of, prepare_clip
from .mattes import matte_from_border

__all__ = ["matte_from_border", "mattes_of", "prepare_clip"]
