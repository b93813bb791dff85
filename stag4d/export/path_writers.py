"""Bytes from the functions of libraries that write only to paths."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from ..temporary import temporary_folder


def written_bytes(name: str, write: Callable[[Path], object]) -> bytes:
    """Return what a function writes.

    Args:
        name: Name of the file; its suffix is the format.
        write: Writes a file. It is in a folder of the system's temporary folder, which the next call removes
            if this process is killed.
    """
    with temporary_folder(Path(tempfile.gettempdir())) as folder:
        write(folder / name)
        return (folder / name).read_bytes()
