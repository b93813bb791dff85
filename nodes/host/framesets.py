"""Captures that nodes of other packs pass on, known by the keys of their values; no such pack is imported.

SPLATKIT_FRAMESET is a dict with ``dir`` and ``frame_ids``, SPLATKIT_4DANYONE_VIEWS one with ``result_dir``.
MULTICAM_DICT has a list of image files for each camera; COLMAP_DATA is the path of a folder that holds
``sparse/0``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comfy_api.latest import io

from ...stag4d.data import Capture, Split, check_cameras, find_capture, read_frameset, read_multicam

FRAMESET_TYPES = [
    io.Custom("SPLATKIT_FRAMESET"),
    io.Custom("SPLATKIT_4DANYONE_VIEWS"),
    io.Custom("MULTICAM_DICT"),
]
ColmapData = io.Custom("COLMAP_DATA")

_EXPECTED = (
    "expected a SPLATKIT_FRAMESET (dir, frame_ids), SPLATKIT_4DANYONE_VIEWS (result_dir), or MULTICAM_DICT "
    "(image files by camera)"
)


def frameset_capture(value: Any, colmap_data: Any = None, split: Split = "train") -> Capture:
    """Return the capture that a value of another pack stands for.

    Args:
        value: The value of the socket.
        colmap_data: Path of a folder with a sparse model, for image files by camera.
        split: Which images, if the format has a split.

    Raises:
        ValueError: if the value has none of the known forms, or a file is malformed.
        FileNotFoundError: if a folder or a file is missing.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"frameset: a value of type {type(value).__name__}; {_EXPECTED}.")
    if _is_multicam(value):
        _check_no_split(split)
        colmap = None if colmap_data is None else _path("colmap_data", colmap_data)
        return check_cameras(read_multicam(value, colmap))
    if colmap_data is not None:
        raise ValueError("colmap_data: connected, but frameset has its own cameras; disconnect it.")
    key = next((key for key in ("result_dir", "dir") if key in value), None)
    if key is None:
        raise ValueError(
            f"frameset: has the entries {', '.join(map(str, value))[:200] or 'none'}; {_EXPECTED}."
        )
    folder = _path(f"frameset: {key}", value[key])
    ids = value.get("frame_ids")
    if key == "dir" and ids is not None and not (folder / "transforms.json").is_file():
        _check_no_split(split)
        return check_cameras(read_frameset(folder, _frame_ids(ids)))
    capture = find_capture(folder, split)
    if capture is None:
        raise ValueError(f"frameset: {folder} holds no cameras of a known format; {_EXPECTED}.")
    return capture


def _is_multicam(value: Mapping[Any, Any]) -> bool:
    """Return whether a value has image files by camera."""
    return bool(value) and all(
        isinstance(files, Sequence)
        and not isinstance(files, str)
        and all(isinstance(file, (str, Path)) for file in files)
        and isinstance(name, str)
        for name, files in value.items()
    )


def _check_no_split(split: Split) -> None:
    """Raise ValueError for images that such a value does not hold out."""
    if split == "test":
        raise ValueError("split: test, but frameset holds out no images; expected train or all.")


def _frame_ids(value: Any) -> list[int]:
    """Return the numbers of frames."""
    if not isinstance(value, Sequence) or not all(isinstance(number, int) for number in value):
        raise ValueError(f"frameset: frame_ids is {str(value)[:100]}; expected a list of whole numbers.")
    return list(value)


def _path(field: str, value: Any) -> Path:
    """Return the path of a folder; it must exist."""
    if not isinstance(value, (str, Path)) or not str(value).strip() or "\0" in str(value):
        raise ValueError(f"{field}: {str(value)[:100]!r} is no path; expected that of a folder.")
    path = Path(str(value).strip())
    if not path.is_dir():
        raise FileNotFoundError(f"{field}: {path} is no folder; run the node that makes it again.")
    return path
