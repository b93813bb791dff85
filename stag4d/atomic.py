"""Atomic writes: a file is written under a temporary name beside its final one, then renamed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; the file written there replaces ``path`` if the block succeeds.

    The folder is created if it does not exist.

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
        with suppress(OSError):  # it has been renamed, or was never created
            temporary.unlink()


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file atomically; its folder is created if it does not exist.

    Raises:
        RuntimeError: if the file cannot be written.
    """
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing_files(folder: Path, pattern: re.Pattern[str]) -> Iterator[Path]:
    """Yield an empty folder whose files replace those of ``folder`` if the block succeeds.

    Files of ``folder`` whose names match ``pattern`` and that are not written again are removed; all others
    stay. The folder is created if it does not exist.

    Raises:
        RuntimeError: if the folder or a file cannot be written.
    """
    folder = folder.absolute()
    is_new = not folder.exists()
    parent = folder.parent if is_new else folder  # on the same disk, so that files are renamed and not copied
    temporary = parent / f".{folder.name}.{os.getpid()}.part"
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
    """Move all files of a folder into another; remove the matching files there that were not replaced."""
    names = {entry.name for entry in source.iterdir()}
    for name in names:
        (source / name).replace(folder / name)
    for entry in folder.iterdir():
        if pattern.fullmatch(entry.name) and entry.name not in names:
            entry.unlink()
