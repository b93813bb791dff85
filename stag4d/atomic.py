"""Files that are whole or not there: written beside their place, then moved into it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place when the block ends well.

    The folder is made when it does not exist.

    Raises:
        RuntimeError: if the folder or the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise RuntimeError(f"{path}: cannot be written ({error}); check the folder and its space.") from error
    finally:
        with suppress(OSError):  # it is gone when all went well, and its folder may never have been
            temporary.unlink()


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file; its folder is made when it does not exist.

    Raises:
        RuntimeError: if the file cannot be written.
    """
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing_files(folder: Path, pattern: re.Pattern[str]) -> Iterator[Path]:
    """Yield an empty folder whose files take the place of those of ``folder`` when the block ends well.

    Files of ``folder`` whose names match ``pattern`` and that are not written anew are removed; all others
    stay. The folder is made when it does not exist.

    Raises:
        RuntimeError: if the folder or a file cannot be written.
    """
    folder = folder.absolute()
    is_new = not folder.exists()
    place = folder.parent if is_new else folder  # of the same disk, so that moving is no copying
    temporary = place / f".{folder.name}.{os.getpid()}.part"
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if is_new:
            temporary.replace(folder)
        else:
            _move_files(temporary, folder, pattern)
    except OSError as error:
        raise RuntimeError(
            f"{folder}: cannot be written ({error}); check the folder and its space."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move_files(source: Path, folder: Path, pattern: re.Pattern[str]) -> None:
    """Move all files of a folder into another, and remove what they leave there of those that match."""
    names = {entry.name for entry in source.iterdir()}
    for name in names:
        (source / name).replace(folder / name)
    for entry in folder.iterdir():
        if pattern.fullmatch(entry.name) and entry.name not in names:
            entry.unlink()
