"""File names in a ViewSet folder: ``ref/{f}_rgba.png``, ``zero123/{f}_rgba/{v}.png`` and ``views.json``.

The F frames and V views are numbered from 0 without gaps; files with other names are ignored.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..resume import UNFINISHED_PREFIX

_FRAME_FILE = re.compile(r"(0|[1-9][0-9]*)_rgba\.png")
_FRAME_FOLDER = re.compile(r"(0|[1-9][0-9]*)_rgba")
_VIEW_FILE = re.compile(r"(0|[1-9][0-9]*)\.png")
LATENTS_SUFFIX = ".latents"  # of the checkpoints of unfinished view folders
UNFINISHED = f"{UNFINISHED_PREFIX}*{LATENTS_SUFFIX}"  # pattern of their file names

_EXPECTED = "expected a folder that holds ref/0_rgba.png, ref/1_rgba.png, ..."


def frame_file(root: Path, frame: int) -> Path:
    """Return the path of an input frame."""
    return root / "ref" / f"{frame}_rgba.png"


def view_file(root: Path, frame: int, view: int) -> Path:
    """Return the path of a posed view of a frame."""
    return _frame_folder(root, frame) / f"{view}.png"


def poses_file(root: Path) -> Path:
    """Return the path of the camera poses; the file is optional."""
    return root / "views.json"


def find_frames(root: Path) -> list[Path]:
    """Return the F input frames in order.

    Raises:
        FileNotFoundError: if the folder does not exist, has no frames, or lacks one.
        ValueError: if it is a file, or the command that was writing the folder was interrupted.
    """
    if not root.exists():
        raise FileNotFoundError(f"views: {root} does not exist; {_EXPECTED}")
    if not root.is_dir():
        raise ValueError(f"views: {root} is not a folder; {_EXPECTED}")
    for left in root.glob(UNFINISHED):
        raise ValueError(
            f"views: {root} is unfinished; run the interrupted `stag4d multiview` again with --resume, or "
            f"delete {left.name} to use the views that are there."
        )
    numbers = _numbers(root / "ref", _FRAME_FILE)
    if not numbers:
        raise FileNotFoundError(f"views: {root} has no frames; {_EXPECTED}")
    missing = _first_missing(numbers)
    if missing is not None:
        raise FileNotFoundError(f"views: {frame_file(root, missing)} is missing; expected no gap.")
    return [frame_file(root, frame) for frame in range(len(numbers))]


def find_views(root: Path, num_frames: int) -> list[list[Path]]:
    """Return the V views of each frame in order, [F][V]; V is 0 when no frame has views.

    Raises:
        FileNotFoundError: if frames have different views, a view is missing, or views have no input frame.
    """
    stray = [frame for frame in _numbers(root / "zero123", _FRAME_FOLDER) if frame >= num_frames]
    if stray:
        folder, expected = _frame_folder(root, min(stray)), frame_file(root, min(stray))
        raise FileNotFoundError(f"views: {folder} has no input frame; expected {expected}.")
    numbers_of_frames = [_numbers(_frame_folder(root, frame), _VIEW_FILE) for frame in range(num_frames)]
    num_views = len(numbers_of_frames[0])
    for frame, numbers in enumerate(numbers_of_frames):
        missing = _first_missing(numbers)
        if missing is not None:
            raise FileNotFoundError(f"views: {view_file(root, frame, missing)} is missing; expected no gap.")
        if len(numbers) != num_views:
            raise FileNotFoundError(
                f"views: {_frame_folder(root, frame)} has {len(numbers)} views; expected {num_views}, as "
                f"{_frame_folder(root, 0)} has."
            )
    return [[view_file(root, frame, view) for view in range(num_views)] for frame in range(num_frames)]


def remove_beyond(root: Path, num_frames: int, num_views: int) -> None:
    """Remove frames numbered F or higher and views numbered V or higher, left by an older, larger set."""
    for frame in _numbers(root / "ref", _FRAME_FILE):
        if frame >= num_frames:
            frame_file(root, frame).unlink()
    for frame in _numbers(root / "zero123", _FRAME_FOLDER):
        num_kept = num_views if frame < num_frames else 0
        for view in _numbers(_frame_folder(root, frame), _VIEW_FILE):
            if view >= num_kept:
                view_file(root, frame, view).unlink()
        if num_kept == 0 and not any(_frame_folder(root, frame).iterdir()):
            _frame_folder(root, frame).rmdir()


def _frame_folder(root: Path, frame: int) -> Path:
    """Return the folder of a frame's views."""
    return root / "zero123" / f"{frame}_rgba"


def _numbers(folder: Path, pattern: re.Pattern[str]) -> set[int]:
    """Return the numbers in names of a folder that match a pattern as a whole; empty without the folder."""
    if not folder.is_dir():
        return set()
    return {int(match[1]) for entry in folder.iterdir() if (match := pattern.fullmatch(entry.name))}


def _first_missing(numbers: set[int]) -> int | None:
    """Return the first gap in numbers that should run from 0, or None."""
    return next((number for number in range(len(numbers)) if number not in numbers), None)
