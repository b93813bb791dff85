"""Kills of a process at a chosen file operation, and the content of a folder."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

OPERATIONS = ((os, "fsync"), (os, "open"), (Path, "replace"), (Path, "unlink"))


def is_killed_at(number: int, action: Callable[[], object]) -> bool:
    """Run an action in a copy of this process that is killed just before its n-th file operation, from 0.

    Returns:
        False if the action ended before that.
    """
    if not hasattr(os, "fork"):
        pytest.skip("processes cannot be forked on this system")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of the parent: the action needs none
        child = os.fork()
    if child == 0:
        try:
            _kill_at(number)
            action()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _kill_at(number: int) -> None:
    """Count file operations of this process, and kill it at one."""
    done = 0

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def operation(*arguments: object, **options: object) -> object:
            nonlocal done
            if done == number:
                os.kill(os.getpid(), signal.SIGKILL)
            done += 1
            return real(*arguments, **options)

        return operation

    for owner, name in OPERATIONS:
        setattr(owner, name, counted(getattr(owner, name)))


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the content of all files at any depth by their relative paths."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
