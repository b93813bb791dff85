"""Checkpoints: the state that an interrupted call leaves on disk, from which the same call resumes.

A call is identified by a hash of its inputs: settings, weights and pixels as they were given. Values computed
from them are not hashed: their last bits differ between devices and numbers of threads.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .atomic import write_whole
from .regular_file import check_regular_file

_logger = logging.getLogger(__name__)

SAVE_SECONDS = 30.0  # between two saves of a checkpoint
UNFINISHED_PREFIX = "unfinished_"  # prefix of the file names of keyed checkpoints
_START_OVER = "delete it to start from the beginning."
_State = TypeVar("_State")


def input_key(*inputs: str | Tensor) -> str:
    """Return a SHA-256 hash of a call's inputs.

    Args:
        inputs: Text, such as settings, and tensors. Tensors are hashed by their bytes; shape and type are
            not, unless the text has them.
    """
    digest = hashlib.sha256()
    for part in inputs:
        if isinstance(part, str):
            digest.update(part.encode())
        else:
            for item in part if part.ndim > 1 else [part]:  # one at a time: no copy of a whole video
                digest.update(item.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class Timer:
    """An interval: ``is_due`` returns True and restarts it once its seconds have passed."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.restart()

    def restart(self) -> None:
        """Start the interval now."""
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Return whether the interval has passed; if so, it starts again."""
        if time.monotonic() - self._last <= self.seconds:
            return False
        self.restart()
        return True


class CheckpointError(ValueError):
    """A state that cannot be resumed from.

    Args:
        path: The file.
        reason: What is wrong with it.
        remedy: What to do instead of starting from the beginning.
    """

    def __init__(self, path: Path, reason: str, remedy: str = "") -> None:
        advice = f"{remedy}, or {_START_OVER}" if remedy else _START_OVER
        super().__init__(f"checkpoint {path}: {reason}; {advice}")
        self.reason = reason


class Checkpoint:
    """The file that holds the state of an unfinished call.

    Args:
        path: The file; it need not exist.
        resume: Whether the call resumes from the state in it.
        ignore_damaged: Whether the call starts from the beginning, with a warning, if it cannot resume from
            the state; otherwise that is an error.
    """

    def __init__(self, path: Path, *, resume: bool = True, ignore_damaged: bool = False) -> None:
        self.path, self.resume, self.ignore_damaged = path, resume, ignore_damaged
        self._timer = Timer(SAVE_SECONDS)

    def is_due(self) -> bool:
        """Return whether half a minute has passed since the last save, or since this last returned True."""
        return self._timer.is_due()

    def save(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
        """Write the state atomically; raises RuntimeError if it cannot be written."""
        contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        write_whole(self.path, save(contiguous, metadata=dict(metadata)))
        self._timer.restart()

    def load(self) -> tuple[dict[str, Tensor], dict[str, str]] | None:
        """Return tensors and metadata; None without a file or if the call does not resume.

        Raises:
            CheckpointError: if the file is damaged.
        """
        if not self.resume or not self.path.exists():
            return None
        try:
            check_regular_file(self.path, str(self.path), "a checkpoint")
            with safe_open(self.path, "pt") as file:
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
                return tensors, dict(file.metadata() or {})
        except (SafetensorError, OSError, ValueError) as error:
            raise self.error(f"damaged ({error})") from error

    def error(self, reason: str, remedy: str = "") -> CheckpointError:
        """Return the error for a state that cannot be resumed from.

        Args:
            reason: What is wrong with the state.
            remedy: What to do instead of starting from the beginning.
        """
        return CheckpointError(self.path, reason, remedy)

    def restore(self, restore: Callable[[], _State]) -> _State | None:
        """Return the state that a function restores; None if it is damaged and may be ignored.

        Args:
            restore: Loads this checkpoint; it raises ``CheckpointError`` before it changes anything.

        Raises:
            CheckpointError: if the call cannot resume from the state, unless ``ignore_damaged``.
        """
        try:
            return restore()
        except CheckpointError as error:
            if not self.ignore_damaged:
                raise
            _logger.warning("checkpoint %s: %s; starting from the beginning.", self.path, error.reason)
            return None

    def remove(self) -> None:
        """Remove the file if it exists; to be called when the result of the call is saved."""
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class CheckpointFolder:
    """A folder with a checkpoint for each unfinished call, named by the key of its inputs.

    Attributes:
        path: The folder.
        resume: Whether calls resume from its checkpoints.
        ignore_damaged: See ``Checkpoint``.
        max_calls: Calls whose checkpoints are kept, with that of the current call; None keeps all.
        max_bytes: Total size of the other calls' files that are kept; None keeps all.
    """

    path: Path
    resume: bool = True
    ignore_damaged: bool = False
    max_calls: int | None = None
    max_bytes: int | None = None

    def checkpoint(self, key: str, suffix: str) -> Checkpoint:
        """Return the checkpoint of the call with that key; the oldest of other calls beyond the limits go."""
        name = f"{UNFINISHED_PREFIX}{key[:16]}"
        self._remove_oldest(name)
        path = self.path / f"{name}{suffix}"
        return Checkpoint(path, resume=self.resume, ignore_damaged=self.ignore_damaged)

    def _remove_oldest(self, current: str) -> None:
        """Remove the files of all calls but the current one and the newest others within the limits."""
        if self.max_calls is None and self.max_bytes is None:
            return
        calls: dict[str, list[tuple[Path, os.stat_result]]] = {}  # files by the name of the call
        for path in self.path.glob(f"{UNFINISHED_PREFIX}*"):
            with suppress(OSError):  # another call has just finished
                calls.setdefault(path.stem, []).append((path, path.stat()))
        calls.pop(current, None)
        newest = sorted(calls.values(), key=lambda files: max(s.st_mtime_ns for _, s in files), reverse=True)
        num_bytes = 0
        for number, files in enumerate(newest, start=2):  # 1 is the current call
            num_bytes += sum(status.st_size for _, status in files)
            is_surplus = self.max_calls is not None and number > self.max_calls
            if is_surplus or (self.max_bytes is not None and num_bytes > self.max_bytes):
                for path, _ in files:
                    with suppress(OSError):  # such as that Windows removes no open file
                        path.unlink()
