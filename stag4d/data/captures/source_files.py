"""Read the files that describe a capture, with limits of their size, and find the files that they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from PIL import ExifTags

from ...geometry.pose_json import describe, finite_number, read_json_object
from ...regular_file import check_regular_file
from ..image_files import open_image
from ..image_folder import IMAGE_SUFFIXES

MAX_JSON_BYTES = 1 << 26  # 60 cameras of 900 frames; parsed, it needs up to 25 times as much memory
MAX_SIDE = 1 << 16  # of an image, pixels
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
_SWAPPED = (5, 6, 7, 8)  # EXIF orientations of images that are stored on their side


def read_document(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of a capture.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is larger than 64 MiB, no regular file, or holds no JSON object.
    """
    check_size(path, MAX_JSON_BYTES, "a JSON file")
    return read_json_object(path)


def frames_per_second(document: Mapping[str, Any], subject: str) -> float | None:
    """Return ``fps`` of a JSON object, or None if it has none."""
    value = document.get("fps")
    if value is None:
        return None
    fps = finite_number(value, f"{subject}: fps")
    if fps <= 0:
        raise ValueError(f"{subject}: fps is {fps:g}; expected a positive number.")
    return fps


def check_size(path: Path, max_bytes: int, expected: str) -> None:
    """Raise an error unless a path is a regular file of at most ``max_bytes``.

    Args:
        path: The file.
        max_bytes: Largest size.
        expected: Kind of file, with an article, for messages.
    """
    check_regular_file(path, str(path), expected)
    num_bytes = path.stat().st_size
    if num_bytes > max_bytes:
        raise ValueError(f"{path}: {num_bytes} bytes; expected at most {max_bytes} for such a file.")


def entries_of(document: Mapping[str, Any], key: str, field: str) -> list[Any]:
    """Return a list of at least one entry in a JSON object; raises ValueError that names the field."""
    value = document.get(key)
    if not isinstance(value, list) or not value:
        raise ValueError(f"{field}: {key} must be a list of at least one entry, not {describe(value)}.")
    return value


def object_of(value: object, field: str) -> Mapping[str, Any]:
    """Return a JSON object; raises ValueError that names the field."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{field} must be an object, not {describe(value)}.")
    return value


def array_of(value: object, shape: Sequence[int], field: str) -> np.ndarray:
    """Return nested JSON lists as an array.

    Args:
        value: The JSON value.
        shape: Expected shape.
        field: Path of the value for messages.

    Returns:
        float64 [*shape].

    Raises:
        ValueError: if the value is of another shape, or a number in it is missing or not finite.
    """
    if not shape:
        return np.array(finite_number(value, field))
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != shape[0]:
        size = "x".join(str(length) for length in shape)
        raise ValueError(f"{field} must be a list of {size} numbers, not {describe(value)}.")
    return np.stack([array_of(part, shape[1:], f"{field}[{index}]") for index, part in enumerate(value)])


def image_side(value: object, field: str) -> int:
    """Return the width or height of an image from JSON, pixels; raises ValueError that names the field."""
    number = finite_number(value, field)
    if not (1 <= number <= MAX_SIDE and number.is_integer()):
        raise ValueError(f"{field} is {number:g}; expected a whole number of pixels, 1 to {MAX_SIDE}.")
    return int(number)


def path_inside(root: Path, name: object, field: str) -> Path:
    """Return a path that a file of a capture names.

    Args:
        root: Folder to which it is relative.
        name: The path in JSON; separators may be those of Windows.
        field: Path of the value for messages.

    Returns:
        A path below ``root``; there may be no file.

    Raises:
        ValueError: if it is no text, empty, absolute, or leaves ``root``.
    """
    return root / relative_path(name, field, str(root))


def relative_path(name: object, field: str, root: str) -> PurePosixPath:
    """Return a path that a file of a capture names, relative to a folder that it does not leave.

    Args:
        name: The path; separators may be those of Windows.
        field: What names it, for messages.
        root: The folder, for messages.

    Raises:
        ValueError: if it is no text, empty, absolute, or leaves the folder.
    """
    if not isinstance(name, str) or not name.strip() or not is_possible_name(name):
        raise ValueError(f"{field} must be the path of a file, not {describe(name)}.")
    relative = PurePosixPath(name.replace("\\", "/"))
    if relative.is_absolute() or PureWindowsPath(name).drive or ".." in relative.parts:
        raise ValueError(f"{field} is {describe(name)}; expected a relative path inside {root}.")
    return relative


def is_possible_name(name: str) -> bool:
    """Return whether a text may be the name or path of a file on any system."""
    encoded = name.encode("utf-8", "ignore")  # without lone surrogates
    parts = encoded.replace(b"\\", b"/").split(b"/")
    is_encodable = encoded.decode() == name
    return is_encodable and b"\0" not in encoded and max(map(len, parts)) <= 250 and len(encoded) <= 4000


def with_image_suffix(path: Path) -> Path:
    """Return the file of an image that is named without its suffix; the path itself if there is none."""
    if path.is_file():
        return path
    named = (path.with_name(path.name + suffix) for suffix in sorted(IMAGE_SUFFIXES))
    return next((file for file in named if file.is_file()), path)


def image_size(path: Path) -> tuple[int, int]:
    """Return width and height of an image as it is shown, pixels, from its header.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no image.
    """
    with open_image(path, is_checked=False) as (image, _):
        width, height = image.size
        is_on_side = image.getexif().get(ExifTags.Base.Orientation, 1) in _SWAPPED
    return (height, width) if is_on_side else (width, height)
