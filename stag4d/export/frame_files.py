"""Folders with one splat file per frame, of this program or others, as the frames of a scene."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ..progress import Monitor, silent
from ..scene import GaussianFrames, Gaussians, valid_frames
from .ply import read_ply_rows
from .spz_reader import read_spz

FRAME_SUFFIXES = (".ply", ".spz")
_NUMBERED = re.compile(r"(.*?)([0-9]+)")  # a file name without its suffix

_Content = TypeVar("_Content")

_logger = logging.getLogger(__name__)


def find_frame_files(folder: Path) -> list[Path]:
    """Return the numbered PLY or SPZ files of a folder by number; a single file needs no number.

    Raises:
        ValueError: if there are none, or they do not form one sequence.
    """
    try:
        found = sorted(path for path in folder.iterdir() if _is_frame_file(path))
    except OSError as error:
        raise ValueError(f"{folder}: cannot be read ({error}); expected a folder.") from error
    if not found:
        raise ValueError(f"{folder}: no PLY or SPZ files; expected numbered ones, one per frame.")
    if len(found) == 1:
        return found
    numbered: dict[int, Path] = {}
    for path in found:
        if _pattern(path) is None or _pattern(path) != _pattern(found[0]):
            raise ValueError(
                f"{folder}: {found[0].name} and {path.name} are not frames of one sequence; expected names "
                "that differ by the number at their end."
            )
        number = int(_NUMBERED.fullmatch(path.stem)[2])  # type: ignore[index]  # it has a pattern
        if number in numbered:
            raise ValueError(
                f"{folder}: {numbered[number].name} and {path.name} have the same number; remove one of them."
            )
        numbered[number] = path
    return [numbered[number] for number in sorted(numbered)]


def read_frames(files: Sequence[Path], monitor: Monitor = silent) -> GaussianFrames:
    """Read one file per frame; frames with equal numbers of Gaussians are taken for the same Gaussians.

    A Gaussian that is invalid in one of such frames is dropped in all of them.

    Args:
        files: PLY or SPZ files, in order.
        monitor: Called after each file.

    Returns:
        The frames.

    Raises:
        FileNotFoundError: if a file is not there.
        ValueError: if a file is damaged, or there are no Gaussians.
    """
    _warn_of_gaps(files)
    folder = files[0].parent
    is_spz = files[0].suffix.lower() == ".spz"
    found = _read_all(files, read_spz, monitor) if is_spz else _read_ply_files(files, monitor)
    if not any(len(frame) for frame in found):
        raise ValueError(f"{files[0]}: no Gaussians in any frame; expected splats.")
    frames = valid_frames(found, [str(path) for path in files], str(folder))
    if frames.counts is not None:
        _logger.info(
            "%s: %d to %d Gaussians per frame; the scene can be played and exported, but not fitted.",
            folder,
            min(frames.counts),
            max(frames.counts),
        )
    return frames


def _is_frame_file(path: Path) -> bool:
    """Return whether a path is a PLY or SPZ file that is not hidden, as macOS's ``._frame_0000.ply`` is.

    A link that leads nowhere is one, too, so that reading names it.
    """
    return path.suffix.lower() in FRAME_SUFFIXES and not path.name.startswith(".") and not path.is_dir()


def _read_all(files: Sequence[Path], read: Callable[[Path], _Content], monitor: Monitor) -> list[_Content]:
    """Return what a function reads from files, and report each of them."""
    contents = []
    for done, path in enumerate(files, start=1):
        contents.append(read(path))
        monitor("import", done, len(files))
    return contents


def _read_ply_files(files: Sequence[Path], monitor: Monitor) -> list[Gaussians]:
    """Return all Gaussians of PLY files, and warn of what is not read."""
    rows = _read_all(files, read_ply_rows, monitor)
    if rows[0].num_rest:
        _logger.warning("%s: view-dependent color is not imported.", files[0])
    return [one.gaussians for one in rows]


def _pattern(path: Path) -> tuple[str, str] | None:
    """Return what precedes the number at the end of a file's name, and its suffix; None without a number."""
    match = _NUMBERED.fullmatch(path.stem)
    return (match[1], path.suffix.lower()) if match else None


def _warn_of_gaps(files: Sequence[Path]) -> None:
    """Log if the numbers of files do not follow one another at equal steps."""
    numbers = [int(match[2]) for path in files if (match := _NUMBERED.fullmatch(path.stem))]
    steps = {after - before for before, after in itertools.pairwise(numbers)}
    if len(steps) > 1:
        _logger.warning(
            "%s: frames are missing between %d and %d; the others are played at equal intervals.",
            files[0].parent,
            numbers[0],
            numbers[-1],
        )
