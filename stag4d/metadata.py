"""Metadata of files: JSON texts by name, such as the ComfyUI workflow by which a scene was made."""

from __future__ import annotations

import json
from collections.abc import Mapping


def metadata_bytes(metadata: Mapping[str, str]) -> int:
    """Return the size of metadata: the length of the JSON object that holds them, in ASCII."""
    return len(json.dumps(dict(metadata)))


def checked_metadata(metadata: Mapping[str, str] | None, subject: str, max_bytes: int) -> dict[str, str]:
    """Return metadata as a dict, empty for None.

    Args:
        metadata: JSON texts by name.
        subject: What the metadata are of, for the error messages.
        max_bytes: Largest size, see ``metadata_bytes``.

    Raises:
        TypeError: if a name or value is not a string.
        ValueError: if the metadata are too large.
    """
    checked = dict(metadata or {})
    for name, value in checked.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"{subject}: metadata {name!r} is {type(value).__name__}; expected strings.")
    size = metadata_bytes(checked)
    if size > max_bytes:
        raise ValueError(f"{subject}: {size} bytes of metadata; expected at most {max_bytes}.")
    return checked
