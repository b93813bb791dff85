"""Folders with one splat file per frame, of this program or others, as the frames of a scene."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from ..scene import GaussianFrames, Gaussians, pad_frames, stack_frames
from .ply import drop_invalid, read_ply_rows
from .spz_reader import read_spz
from .validity import LARGEST

FRAME_SUFFIXES = (".ply", ".spz")
_NUMBERED = re.compile(r"(.*?)([0-9]+)")  # a file name without its suffix

_logger = logging.getLogger(__name__)


def find_frame_files(folder: Path) -> list[Path]:
    """Return the numbered PLY or SPZ files of a folder by number; a single file needs no number.

    Raises:
        ValueError: if there are none, or they do not form one sequence.
    """
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in FRAME_SUFFIXES)
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


def read_frames(files: Sequence[Path]) -> GaussianFrames:
    """Read one file per frame; frames with equal numbers of Gaussians are taken for the same Gaussians.

    A Gaussian that is invalid in one of such frames is dropped in all of them.

    Args:
        files: PLY or SPZ files, in order.

    Returns:
        The frames.

    Raises:
        FileNotFoundError: if a file is not there.
        ValueError: if a file is damaged, or there are no Gaussians.
    """
    _warn_of_gaps(files)
    if files[0].suffix.lower() == ".spz":
        frames = [read_spz(path) for path in files]
    else:
        frames = _read_ply_frames(files)
    counts = [len(frame) for frame in frames]
    if max(counts) == 0:
        raise ValueError(f"{files[0]}: no Gaussians in any frame; expected splats.")
    if min(counts) == max(counts):
        return stack_frames(frames)
    _logger.info(
        "%s: %d to %d Gaussians per frame; the scene can be played and exported, but not fitted.",
        files[0].parent,
        min(counts),
        max(counts),
    )
    try:
        return pad_frames(frames)
    except ValueError as error:
        raise ValueError(f"{files[0].parent}: {error}") from error


def _read_ply_frames(files: Sequence[Path]) -> list[Gaussians]:
    """Return the valid Gaussians of PLY files."""
    rows = [read_ply_rows(path) for path in files]
    if rows[0].num_rest:
        _logger.warning("%s: view-dependent color is not imported.", files[0])
    counts = {len(one.is_valid) for one in rows}
    if len(counts) > 1 or len(rows) == 1:
        return [drop_invalid(path, one) for path, one in zip(files, rows, strict=True)]
    is_valid = rows[0].is_valid
    for one in rows[1:]:
        is_valid = is_valid & one.is_valid
    count, num_valid = len(is_valid), int(is_valid.sum())
    if num_valid == count:
        return [one.gaussians for one in rows]
    if not num_valid:
        raise ValueError(
            f"{files[0].parent}: no Gaussian has finite numbers below {LARGEST:g} in all frames; expected "
            "splats."
        )
    _logger.warning(
        "%s: dropped %d of %d Gaussians, with numbers that are not finite or too large in some frames.",
        files[0].parent,
        count - num_valid,
        count,
    )
    return [one.gaussians.map(lambda values: values[is_valid]) for one in rows]


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
