"""Folders that are named after frames, such as ``frame_000``, ``time_1`` and ``colmap_2``."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

_logger = logging.getLogger(__name__)

_NAME = re.compile(r"(?:frame|time|timestep|colmap)[-_]?([0-9]{1,18})", re.IGNORECASE)


def frame_number(name: str) -> int | None:
    """Return the number of the frame that a folder is named after, or None."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def has_frame_folders(folder: Path, is_complete: Callable[[Path], bool]) -> bool:
    """Return whether a folder holds a complete folder of a frame."""
    return any(is_complete(frame) for _, frame in _numbered(folder))


def find_frame_folders(folder: Path, is_complete: Callable[[Path], bool]) -> dict[int, Path]:
    """Return the complete folders of frames in a folder by their numbers, ascending.

    Args:
        folder: The folder.
        is_complete: Returns whether a folder of a frame has what its reader needs.

    Raises:
        ValueError: if two of them have the same number, such as ``frame_1`` and ``frame_01``.
    """
    found: dict[int, Path] = {}
    for number, frame in _numbered(folder):
        if is_complete(frame):
            other = found.setdefault(number, frame)
            if other is not frame:
                raise ValueError(
                    f"{folder}: {other.name} and {frame.name} are two folders of frame {number}; expected "
                    "one."
                )
    return found


def warn_of_incomplete(folder: Path, found: dict[int, Path], needed: str) -> None:
    """Log how many folders of frames are left out.

    Args:
        folder: The folder that holds them.
        found: The complete ones, from ``find_frame_folders``.
        needed: What the others lack, for the message.
    """
    missing = [frame.name for _, frame in _numbered(folder) if frame not in found.values()]
    if missing:
        _logger.warning(
            "%s: %d of %d folders of frames have no %s, the first %s; they are left out.",
            folder,
            len(missing),
            len(missing) + len(found),
            needed,
            missing[0],
        )


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """Return the folders in a folder that are named after frames, with their numbers, ascending."""
    numbers = ((frame_number(entry.name), entry) for entry in folder.iterdir())
    return sorted((number, entry) for number, entry in numbers if number is not None and entry.is_dir())
