"""Atomic writes: a file is written under a temporary name beside its final one, then renamed.

Content is on the disk before its name is: after a power failure a file is the old or the new one as a whole.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .temporary import locked, temporary_file, temporary_folder

_NO_FLUSH = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)  # of file systems without fsync


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; the file written there replaces ``path`` if the block succeeds.

    The folder is created if it does not exist.

    Raises:
        RuntimeError: if the folder or the file cannot be written.
    """
    try:
        _refuse_unwritable_name(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_file(path.parent) as temporary:
            yield temporary
            _flush(temporary)
            temporary.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error


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
        RuntimeError: if the folder or a file cannot be written, or another process is writing the folder.
    """
    folder = folder.absolute()
    try:
        # The place is on the same disk, so that files are renamed and not copied.
        with _locked_place(folder) as (place, release):
            with temporary_folder(place) as temporary:
                yield temporary
                for entry in temporary.iterdir():
                    _flush(entry)
                _flush_folder(temporary)
                if folder.exists():
                    _move_files(temporary, folder, pattern)
                else:
                    release()
                    temporary.replace(folder)
            _flush_folder(place)
    except OSError as error:
        raise _unwritable(folder, error) from error


@contextmanager
def _locked_place(folder: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """Lock a folder that is to be written.

    Yields the folder, or its parent if it does not exist yet, and the function that releases the lock.
    """
    while True:
        is_new = not folder.exists()
        place = folder.parent if is_new else folder
        place.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                release = stack.enter_context(locked(place, folder.name if is_new else ""))
            except BlockingIOError:
                raise RuntimeError(
                    f"{folder}: another process is writing there; wait for it, or choose another folder."
                ) from None
            if is_new != folder.exists():  # else another process has just finished it
                yield place, release
                return


def _move_files(source: Path, folder: Path, pattern: re.Pattern[str]) -> None:
    """Move all files of a folder into another; remove the matching files there that were not replaced."""
    names = {entry.name for entry in source.iterdir()}
    for name in names:
        (source / name).replace(folder / name)
    for entry in folder.iterdir():
        if pattern.fullmatch(entry.name) and entry.name not in names:
            entry.unlink()


def _refuse_unwritable_name(path: Path) -> None:
    """Raise OSError, before the content is made, if a path is that of a folder or its name is too long."""
    with suppress(FileNotFoundError, NotADirectoryError):
        if stat.S_ISDIR(path.lstat().st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


def _unwritable(path: Path, error: OSError) -> RuntimeError:
    """Return the error for a path that cannot be written."""
    return RuntimeError(f"{path}: cannot be written ({error}); check the folder and its space.")


def _flush(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise
    finally:
        os.close(descriptor)


def _flush_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the operating system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
