"""Numbers and orbit poses in JSON: degrees and world units; errors name the path of the field."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..regular_file import check_regular_file
from .orbit import DEFAULT_FOVY_DEG, DEFAULT_RADIUS, OrbitPose

_ANGLES = ("azimuth", "elevation", "fovy")
POSE_NAMES = ("azimuth", "elevation", "radius", "fovy")


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no regular file, is not JSON, or holds anything but an object.
    """
    check_regular_file(path, str(path), "a JSON file")
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error}); expected an object.") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path}: holds {describe(value)}; expected a JSON object.")
    return value


def check_version(document: Mapping[str, Any], newest: int, subject: str) -> None:
    """Raise ValueError unless the document's ``version`` is an integer from 1 to ``newest``."""
    version = document.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(f"{subject}: version must be a whole number from 1, not {describe(version)}.")
    if version > newest:
        raise ValueError(f"{subject}: version {version} is newer than {newest}, the last one known; update.")


def check_names(value: object, known: Sequence[str], field: str) -> None:
    """Raise ValueError if an object has an entry of an unknown name; it gives the nearest known one.

    Args:
        value: The JSON value; anything but an object is left to other checks.
        known: Names of all entries.
        field: Path of the value for error messages.
    """
    for name in value if isinstance(value, Mapping) else ():
        if name not in known:
            nearest = get_close_matches(str(name)[:40], known, n=1)
            expected = f"did you mean {nearest[0]}?" if nearest else f"expected {', '.join(known)}."
            raise ValueError(f"{field}: unknown entry {describe(name)}; {expected}")


def finite_number(value: object, field: str) -> float:
    """Return a JSON number as a float; raises ValueError that names the field unless it is one and finite."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise ValueError(f"{field} must be a finite number, not {describe(value)}.")


def whole_number(value: object, field: str) -> int:
    """Return a JSON number as an integer; raises ValueError that names the field unless it is one >= 0."""
    number = finite_number(value, field)
    if number < 0 or not number.is_integer():
        raise ValueError(f"{field} must be a whole number from 0, not {number:g}.")
    return int(number)


def pose_from_json(value: object, field: str, defaults: Mapping[str, float] | None = None) -> OrbitPose:
    """Return the pose in ``{"azimuth", "elevation", "radius", "fovy"}``.

    Args:
        value: The JSON value.
        field: Path of the value for error messages, such as ``views.json: views[3]``.
        defaults: Values of absent fields; they override radius 2 and fovy 49.1.

    Raises:
        ValueError: if it is not an object, a field is not a finite number, or the pose is out of range.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"{field} must be an object with azimuth and elevation, not {describe(value)}.")
    fields = {"radius": DEFAULT_RADIUS, "fovy": DEFAULT_FOVY_DEG, **(defaults or {}), **value}
    numbers = {f"{key}_deg": finite_number(fields.get(key), f"{field}.{key}") for key in _ANGLES}
    try:
        return OrbitPose(**numbers, radius=finite_number(fields["radius"], f"{field}.radius"))
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from error


def poses_from_json(value: object, field: str) -> tuple[OrbitPose, ...]:
    """Return the poses of a JSON array; raises ValueError like ``pose_from_json``."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"{field} must be an array of poses, not {describe(value)}.")
    return tuple(pose_from_json(entry, f"{field}[{index}]") for index, entry in enumerate(value))


def pose_to_json(pose: OrbitPose) -> dict[str, float]:
    """Return the pose as a JSON object, degrees and world units."""
    return {
        "azimuth": pose.azimuth_deg,
        "elevation": pose.elevation_deg,
        "radius": pose.radius,
        "fovy": pose.fovy_deg,
    }


def describe(value: object) -> str:
    """Return a JSON value for a message, shortened to 40 characters."""
    if value is None:
        return "nothing"
    try:
        text = json.dumps(value, default=repr)
    except RecursionError:  # the parser accepts deeper nesting than the writer
        text = f"a deeply nested {type(value).__name__}"
    return text if len(text) <= 40 else f"{text[:37]}..."
