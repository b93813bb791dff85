"""File names in a ViewSet folder: ``ref/{f}_rgba.png``, ``zero123/{f}_rgba/{v}.png`` and ``views.json``.

The F frames and V views are numbered from 0 without gaps; files with other names are ignored. Where there are
no PNG files, JPEG or WebP are read, and where no frame has a folder of views, sheets of six views, such as
``zero123/{f}_rgba.png``.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..resume import UNFINISHED_PREFIX
from .view_sheet import NUM_TILES, SheetTile

FRAMES, VIEWS = "ref", "zero123"  # subfolders with the frames of the input view, and with the views
_SUFFIXES = ("png", "jpg", "jpeg", "webp")  # the first of which there is a file is read
_FRAME_FILE = re.compile(r"(0|[1-9][0-9]*)_rgba\.png")
_FRAME_FOLDER = re.compile(r"(0|[1-9][0-9]*)_rgba")
_VIEW_FILE = re.compile(r"(0|[1-9][0-9]*)\.png")
LATENTS_SUFFIX = ".latents"  # of the checkpoints of unfinished view folders
UNFINISHED = f"{UNFINISHED_PREFIX}*{LATENTS_SUFFIX}"  # pattern of their file names

_EXPECTED = "expected a folder that holds ref/0_rgba.png, ref/1_rgba.png, ..."


def frame_file(root: Path, frame: int, suffix: str = "png") -> Path:
    """Return the path of an input frame."""
    return root / FRAMES / f"{frame}_rgba.{suffix}"


def view_file(root: Path, frame: int, view: int, suffix: str = "png") -> Path:
    """Return the path of a posed view of a frame."""
    return _frame_folder(root, frame) / f"{view}.{suffix}"


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
    found = ((suffix, _numbers(root / FRAMES, _named("_rgba", suffix))) for suffix in _SUFFIXES)
    suffix, numbers = next((pair for pair in found if pair[1]), ("png", set()))
    if not numbers:
        raise FileNotFoundError(f"views: {root} has no frames; {_EXPECTED}")
    missing = _first_missing(numbers)
    if missing is not None:
        raise FileNotFoundError(f"views: {frame_file(root, missing, suffix)} is missing; expected no gap.")
    return [frame_file(root, frame, suffix) for frame in range(len(numbers))]


def find_views(root: Path, num_frames: int) -> list[list[Path | SheetTile]]:
    """Return the V views of each frame in order, [F][V]; V is 0 when no frame has views.

    Raises:
        FileNotFoundError: if frames have different views, a view is missing, or views have no input frame.
    """
    stray = [frame for frame in _numbers(root / VIEWS, _FRAME_FOLDER) if frame >= num_frames]
    if stray:
        folder, expected = _frame_folder(root, min(stray)), frame_file(root, min(stray))
        raise FileNotFoundError(f"views: {folder} has no input frame; expected {expected}.")
    suffix, numbers_of_frames = _views_of_frames(root, num_frames)
    num_views = len(numbers_of_frames[0])
    if not any(numbers_of_frames):
        return _find_sheets(root, num_frames)
    for frame, numbers in enumerate(numbers_of_frames):
        missing = _first_missing(numbers)
        if missing is not None:
            raise FileNotFoundError(
                f"views: {view_file(root, frame, missing, suffix)} is missing; expected no gap."
            )
        if len(numbers) != num_views:
            raise FileNotFoundError(
                f"views: {_frame_folder(root, frame)} has {len(numbers)} views; expected {num_views}, as "
                f"{_frame_folder(root, 0)} has."
            )
    return [
        [view_file(root, frame, view, suffix) for view in range(num_views)] for frame in range(num_frames)
    ]


def remove_beyond(root: Path, num_frames: int, num_views: int) -> None:
    """Remove frames numbered F or higher and views numbered V or higher, left by an older, larger set."""
    for frame in _numbers(root / FRAMES, _FRAME_FILE):
        if frame >= num_frames:
            frame_file(root, frame).unlink()
    for frame in _numbers(root / VIEWS, _FRAME_FOLDER):
        num_kept = num_views if frame < num_frames else 0
        for view in _numbers(_frame_folder(root, frame), _VIEW_FILE):
            if view >= num_kept:
                view_file(root, frame, view).unlink()
        if num_kept == 0 and not any(_frame_folder(root, frame).iterdir()):
            _frame_folder(root, frame).rmdir()


def _named(text: str, suffix: str) -> re.Pattern[str]:
    """Return a pattern of file names: a number, a text and a suffix."""
    return re.compile(rf"(0|[1-9][0-9]*){text}\.{suffix}")


def _views_of_frames(root: Path, num_frames: int) -> tuple[str, list[set[int]]]:
    """Return the suffix of the views in folders, and the numbers of each frame's views."""
    for suffix in _SUFFIXES:
        pattern = _named("", suffix)
        numbers = [_numbers(_frame_folder(root, frame), pattern) for frame in range(num_frames)]
        if any(numbers):
            return suffix, numbers
    return _SUFFIXES[0], [set()] * num_frames


def _find_sheets(root: Path, num_frames: int) -> list[list[Path | SheetTile]]:
    """Return the views of each frame in its sheet, [F][6]; without sheets there are none, [F][0]."""
    folder = root / VIEWS
    for suffix in _SUFFIXES:
        numbers = _numbers(folder, _named("_rgba", suffix))
        if not numbers:
            continue
        missing = _first_missing(numbers)
        if missing is not None or len(numbers) != num_frames:
            raise FileNotFoundError(
                f"views: {folder} has {len(numbers)} sheets of views, such as {min(numbers)}_rgba.{suffix}; "
                f"expected 0 to {num_frames - 1}, one for each frame."
            )
        sheets = [folder / f"{frame}_rgba.{suffix}" for frame in range(num_frames)]
        return [[SheetTile(sheet, tile) for tile in range(NUM_TILES)] for sheet in sheets]
    return [[] for _ in range(num_frames)]


def _frame_folder(root: Path, frame: int) -> Path:
    """Return the folder of a frame's views."""
    return root / VIEWS / f"{frame}_rgba"


def _numbers(folder: Path, pattern: re.Pattern[str]) -> set[int]:
    """Return the numbers in names of a folder that match a pattern as a whole; empty without the folder."""
    if not folder.is_dir():
        return set()
    return {int(match[1]) for entry in folder.iterdir() if (match := pattern.fullmatch(entry.name))}


def _first_missing(numbers: set[int]) -> int | None:
    """Return the first gap in numbers that should run from 0, or None."""
    return next((number for number in range(len(numbers)) if number not in numbers), None)
