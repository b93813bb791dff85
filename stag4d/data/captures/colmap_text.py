"""Read the lines of COLMAP's ``cameras.txt``, ``images.txt`` and ``points3D.txt``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...regular_file import check_regular_file
from .colmap_records import MAX_CAMERAS, MAX_IMAGES, CameraRecord, ImageRecord

_MAX_LINE = 8192  # bytes that are read of a line: those of points are longer, and not needed
Point = tuple[float, float, float]


def text_cameras(path: Path) -> Iterator[CameraRecord]:
    """Yield the cameras of ``cameras.txt``: ``ID MODEL WIDTH HEIGHT PARAMETERS``.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a line is malformed, or there are more than 100,000 cameras.
    """
    for count, (number, line) in enumerate(_lines(path)):
        if count == MAX_CAMERAS:
            raise ValueError(f"{path}: more than {MAX_CAMERAS} cameras; expected fewer.")
        words = line.split()
        try:
            parameters = tuple(map(float, words[4:]))
            yield CameraRecord(int(words[0]), words[1], int(words[2]), int(words[3]), parameters)
        except (ValueError, IndexError):
            raise ValueError(
                f"{path}: line {number} is {line[:40]!r}; expected ID MODEL WIDTH HEIGHT PARAMETERS."
            ) from None


def text_images(path: Path) -> Iterator[ImageRecord]:
    """Yield the images of ``images.txt``: ``ID QW QX QY QZ TX TY TZ CAMERA NAME``.

    Each is followed by a line of points, which may be empty.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a line is malformed, or there are more than a million images.
    """
    lines = _lines(path, with_empty=True)
    for count, (number, line) in enumerate(lines):
        if not line.strip():  # after the last image
            continue
        if count == MAX_IMAGES:
            raise ValueError(f"{path}: more than {MAX_IMAGES} images; expected fewer.")
        words = line.split(maxsplit=9)
        try:
            quat, translation = tuple(map(float, words[1:5])), tuple(map(float, words[5:8]))
            yield ImageRecord(int(words[0]), quat, translation, int(words[8]), words[9].strip())
        except (ValueError, IndexError):
            raise ValueError(
                f"{path}: line {number} is {line[:40]!r}; expected ID QW QX QY QZ TX TY TZ CAMERA NAME."
            ) from None
        next(lines, None)  # the line of points, which may be empty


def text_points(path: Path) -> Iterator[Point]:
    """Yield the positions of ``points3D.txt``: ``ID X Y Z ...``; malformed lines are left out."""
    for _, line in _lines(path):
        try:
            x, y, z = map(float, line.split(maxsplit=4)[1:4])
        except ValueError:
            continue
        yield x, y, z


def _lines(path: Path, with_empty: bool = False) -> Iterator[tuple[int, str]]:
    """Yield the numbers and the beginnings of the lines that are no comments."""
    check_regular_file(path, str(path), "a file of a COLMAP model")
    number = 0
    with path.open("rb") as file:
        while line := file.readline(_MAX_LINE):
            number += 1
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = file.readline(_MAX_LINE)
            text = line.decode("utf-8", "replace")
            if not text.startswith("#") and (with_empty or text.strip()):
                yield number, text
