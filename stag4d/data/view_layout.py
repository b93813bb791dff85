"""Where a ViewSet folder has its files: ``ref/{f}_rgba.png``, ``zero123/{f}_rgba/{v}.png``, ``views.json``.

F frames and V views are numbered from 0 without gaps; files with other names are not looked at.
"""

from __future__ import annotations

import re
from pathlib import Path

_FRAME_FILE = re.compile(r"(0|[1-9][0-9]*)_rgba\.png")
_FRAME_FOLDER = re.compile(r"(0|[1-9][0-9]*)_rgba")
_VIEW_FILE = re.compile(r"(0|[1-9][0-9]*)\.png")
UNFINISHED = "unfinished_{}.latents"
"""State that an interrupted ``stag4d multiview`` leaves in a folder whose set is not whole."""

_EXPECTED = "expected a folder that holds ref/0_rgba.png, ref/1_rgba.png, ..."


def frame_file(root: Path, frame: int) -> Path:
    """Return the path of an input frame."""
    return root / "ref" / f"{frame}_rgba.png"


def view_file(root: Path, frame: int, view: int) -> Path:
    """Return the path of a posed view of a frame."""
    return _frame_folder(root, frame) / f"{view}.png"


def poses_file(root: Path) -> Path:
    """Return the path of the poses, a file that need not exist."""
    return root / "views.json"


def find_frames(root: Path) -> list[Path]:
    """Return the F input frames in order.

    Raises:
        FileNotFoundError: if the folder is not there, has no frames, or misses one.
        ValueError: if it is a file, or what was to fill the folder was interrupted.
    """
    if not root.exists():
        raise FileNotFoundError(f"views: {root} does not exist; {_EXPECTED}")
    if not root.is_dir():
        raise ValueError(f"views: {root} is not a folder; {_EXPECTED}")
    for left in root.glob(UNFINISHED.format("*")):
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
    """Return the V views of each frame in order, [F][V]; V is 0 when there are none at all.

    Raises:
        FileNotFoundError: if the frames do not have the same views, one misses, or the input frame does.
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
    """Remove frames and views whose numbers a set of F frames with V views does not have."""
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
    """Return the numbers of a folder's entries whose whole name fits; empty when the folder is not there."""
    if not folder.is_dir():
        return set()
    return {int(match[1]) for entry in folder.iterdir() if (match := pattern.fullmatch(entry.name))}


def _first_missing(numbers: set[int]) -> int | None:
    """Return the first number from 0 that is not there though a larger one is, or None."""
    return next((number for number in range(len(numbers)) if number not in numbers), None)
