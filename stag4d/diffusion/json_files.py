"""JSON files of a model folder: objects of limited size and depth whose numbers are finite."""

from __future__ import annotations

import math
import reprlib
from pathlib import Path
from typing import Any

from ..geometry.pose_json import read_json_object
from ..regular_file import check_regular_file

MAX_BYTES = 64 * 2**20  # the largest of published models, tokenizer.json, has 4 MB
MAX_DEPTH = 50


def read_json(path: Path, expected: str) -> dict[str, Any]:
    """Return a JSON object from a file.

    Args:
        path: The file.
        expected: What it should be, for the error when it is missing.

    Raises:
        FileNotFoundError: if it is missing.
        ValueError: if it is damaged, too large or nested too deep, or holds a number that is not finite.
    """
    check_regular_file(path, str(path), expected)
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{path}: has {size} bytes; expected {expected}, of at most {MAX_BYTES}.")
    document = read_json_object(path)
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        if any(isinstance(value, float) and not math.isfinite(value) for value in level):
            raise ValueError(f"{path}: holds NaN or infinity; expected finite numbers.")
        level = [child for value in level for child in _children(value)]
        if not level:
            return document
    raise ValueError(f"{path}: is nested more than {MAX_DEPTH} levels deep; expected {expected}.")


def shown(value: object) -> str:
    """Return a JSON value as Python writes it, for a message; long ones are shortened."""
    return _short.repr(value)


def _children(value: object) -> list[Any]:
    """Return the values in a JSON array or object."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


_short = reprlib.Repr()
_short.maxstring = _short.maxother = 100
_short.maxlist = _short.maxdict = 12
