"""Read the times of a COLMAP model's images, ``times.bin`` or ``times.txt`` of colmap4d: nanoseconds."""

from __future__ import annotations

import struct
from pathlib import Path

from .source_files import check_size

NANOSECONDS = 1e9  # in a second
_MAX_BYTES = 1 << 25
_RECORD = struct.Struct("<Iq")


def read_times(model: Path) -> dict[int, int] | None:
    """Return the time of each image by its id, nanoseconds; None if there is no such file.

    Of several records of one image the last counts.

    Args:
        model: Folder of the sparse model.

    Raises:
        ValueError: if the file is malformed or cut short.
    """
    binary, text = model / "times.bin", model / "times.txt"
    if binary.exists():
        return _binary(binary)
    return _text(text) if text.exists() else None


def _binary(path: Path) -> dict[int, int]:
    """Return the records of ``times.bin``."""
    check_size(path, _MAX_BYTES, "a file of times")
    content = path.read_bytes()
    count = int.from_bytes(content[:8], "little")
    if len(content) < 8 or len(content) - 8 != count * _RECORD.size:
        raise ValueError(f"{path}: declares {count} times in {len(content)} bytes; expected a whole file.")
    return dict(_RECORD.iter_unpack(content[8:]))


def _text(path: Path) -> dict[int, int]:
    """Return the records of ``times.txt``."""
    check_size(path, _MAX_BYTES, "a file of times")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    times = {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        try:
            times[int(words[0])] = int(words[1])
        except (ValueError, IndexError):
            raise ValueError(
                f"{path}: line {number} is {line[:40]!r}; expected IMAGE_ID NANOSECONDS."
            ) from None
    return times
