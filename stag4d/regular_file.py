"""The check that a path is a regular file: a reader that opens a pipe or a device can wait for ever."""

from __future__ import annotations

from pathlib import Path


def check_regular_file(path: Path, subject: str, expected: str) -> None:
    """Raise an error unless a path is a regular file, or a link to one.

    Args:
        path: The path that is about to be opened.
        subject: Begins the message; it names the path.
        expected: Kind of file that belongs there, with an article.

    Raises:
        FileNotFoundError: if there is nothing.
        ValueError: if it is a folder, a named pipe, a socket or a device.
    """
    if path.is_file():
        return
    if path.is_dir():
        raise ValueError(f"{subject}: is a folder; expected {expected}.")
    if path.exists():
        raise ValueError(f"{subject}: is a pipe, socket or device; expected {expected}.")
    raise FileNotFoundError(f"{subject}: no such file; expected {expected}.")
