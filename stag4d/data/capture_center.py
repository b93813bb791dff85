"""The center of a capture as text, as the command line and a node take it."""

from __future__ import annotations

import math

from .captures.capture import Vector
from .captures.options import CenterChoice


def parse_center(text: str, subject: str = "center") -> CenterChoice | Vector:
    """Return ``auto``, ``file``, or the point of three numbers separated by commas.

    Args:
        text: The text.
        subject: Name of the option for error messages.

    Raises:
        ValueError: if it is something else, or a number is not finite.
    """
    choice = text.strip()
    if choice == "auto":
        return "auto"
    if choice == "file":
        return "file"
    try:
        x, y, z = (float(number) for number in choice.split(","))
    except ValueError:
        x = y = z = math.nan
    if not all(map(math.isfinite, (x, y, z))):
        raise ValueError(f"{subject}: {text!r}; expected auto, file, or three numbers as x,y,z.")
    return x, y, z
