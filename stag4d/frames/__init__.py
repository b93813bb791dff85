"""From pictures of one object to frames and mattes."""

from .mattes import matte_from_border

__all__ = ["matte_from_border"]
