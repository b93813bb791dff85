"""Temporary files, folders and locks beside the final files, and their cleanup after killed processes.

A temporary file or folder is locked while its process lives. One whose lock is free was left behind: it is
removed at once if it was made on this machine since its start, else when it is a day old, because locks of
other machines may not be visible on a shared volume.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where open files cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

_PREFIX = ".stag4d-"
_NAME = re.compile(r"\.stag4d-([0-9a-f]{8})-[0-9a-f]{16}\.part")
_LOCK_NAME = re.compile(r"\.stag4d-[0-9a-f]{16}\.lock")
_STRAY_SECONDS = 24 * 3600  # age from which files of other machines are removed
_CLEANUP_SECONDS = 3600  # between two searches of a folder

_cleaned: dict[str, float] = {}  # time of the last search by folder


@contextmanager
def temporary_file(folder: Path) -> Iterator[Path]:
    """Yield an empty file in a folder; it is removed at the end unless it was renamed."""
    with _temporary(folder, lambda path: os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)) as path:
        yield path


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Yield an empty folder in another one; it is removed at the end unless it was renamed."""
    with _temporary(parent, _make_folder) as path:
        yield path


@contextmanager
def locked(folder: Path, name: str) -> Iterator[Callable[[], None]]:
    """Hold the lock that protects the writing of a file or folder, by a lock file.

    Yields a function that releases the lock before the end: what is renamed into place after that leaves no
    lock file behind if the process is killed then.

    The operating system frees the lock when the process ends, however it ends. On Windows, which has no such
    lock, nothing is protected.

    Args:
        folder: Where the lock file is. Links to it lead to the same locks.
        name: What is written in the folder; empty for the folder itself. Names that some file systems take
            for the same one, such as ``Out`` and ``out``, have the same lock.

    Raises:
        BlockingIOError: if another process or thread holds it.
    """
    if fcntl is None:
        yield lambda: None
        return
    same_name = unicodedata.normalize("NFC", name.casefold())
    digest = hashlib.sha256(same_name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    lock_file = folder / f"{_PREFIX}{digest}.lock"
    while True:
        descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        if _try_lock(descriptor) is False:
            os.close(descriptor)
            raise BlockingIOError(f"{folder / name}: locked by another process")
        if _is_at(descriptor, lock_file):  # else its last owner has just removed it
            break
        os.close(descriptor)
    is_held = True

    def release() -> None:
        nonlocal is_held
        if is_held:  # else the file may be that of the next owner
            with suppress(OSError):
                lock_file.unlink()
        is_held = False

    try:
        yield release
    finally:
        release()
        os.close(descriptor)


def remove_strays(folder: Path) -> None:
    """Remove what killed processes have left in a folder; it is searched once an hour."""
    now = time.monotonic()
    key = str(folder.absolute())
    if now - _cleaned.get(key, -_CLEANUP_SECONDS) < _CLEANUP_SECONDS:
        return
    _cleaned[key] = now
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _NAME.fullmatch(entry.name)
            if match is not None:
                _remove_stray(folder / entry.name, is_local=match[1] == _machine())
            elif _LOCK_NAME.fullmatch(entry.name):
                _remove_stray(folder / entry.name, is_local=False)


@contextmanager
def _temporary(folder: Path, make: Callable[[Path], int | None]) -> Iterator[Path]:
    """Yield a path with a random name, made by a function that returns its descriptor, and lock it."""
    remove_strays(folder)
    while True:
        path = folder / f"{_PREFIX}{_machine()}-{secrets.token_hex(8)}.part"
        descriptor = make(path)
        if descriptor is None or (_try_lock(descriptor) is not False and _is_at(descriptor, path)):
            break
        os.close(descriptor)  # another process took it for a stray before it was locked
    try:
        if fcntl is None and descriptor is not None:
            os.close(descriptor)  # Windows renames no open file
            descriptor = None
        yield path
    finally:
        _remove(path)
        if descriptor is not None:
            os.close(descriptor)


def _make_folder(path: Path) -> int | None:
    """Make a folder and return its descriptor, None where folders have none."""
    path.mkdir()
    return None if fcntl is None else os.open(path, os.O_RDONLY)


def _try_lock(descriptor: int) -> bool | None:
    """Lock a file for as long as it is open; False if it is locked, None if the file system has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether an open file or folder is the one at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _remove_stray(path: Path, *, is_local: bool) -> None:
    """Remove a temporary file or folder unless its process lives, or may live on another machine."""
    with suppress(OSError):
        is_old = time.time() - _last_change(path) > _STRAY_SECONDS
        if fcntl is None:
            if is_old:
                _remove(path)
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # it may be a pipe
        try:
            lock = _try_lock(descriptor)
            if lock is not False and (is_old or (is_local and lock)):
                _remove(path)
        finally:
            os.close(descriptor)


def _last_change(path: Path) -> float:
    """Return the modification time of a file, or the latest one of a folder and its files."""
    paths = [path, *path.iterdir()] if path.is_dir() else [path]
    return max(entry.lstat().st_mtime for entry in paths)


def _remove(path: Path) -> None:
    """Remove a file or a folder with its content, if it is there and can be removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@cache
def _machine() -> str:
    """Return eight hexadecimal digits of this machine since its start; random where it has no such number."""
    boot = _boot_id()
    if not boot:
        return secrets.token_hex(4)
    return hashlib.sha256(f"{boot}{socket.gethostname()}".encode()).hexdigest()[:8]


def _boot_id() -> str:
    """Return the identifier that Linux or macOS generates when it starts; empty where there is none."""
    try:
        if sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
            return subprocess.run(command, capture_output=True, check=True, text=True, timeout=10).stdout
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except (OSError, subprocess.SubprocessError):
        return ""
