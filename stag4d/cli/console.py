"""The terminal: one-line errors, option values that start with a minus, progress bars, Ctrl-C and SIGTERM."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

from tqdm import tqdm

from ..progress import Interrupted, Preview
from ..resume import Timer
from ..startup import SIGNALS

_UNITS = {  # of other stages: frame
    "compare": "image",
    "denoise": "frame step",
    "guidance": "network pass",
    "import": "file",
    "load": "model",
    "optimize": "step",
    "start": "scene",
    "turntable": "image",
}
_REDRAW_SECONDS = 1.0  # between two displays of the elapsed time within a unit
_NEGATIVE_VALUE = re.compile(r"-\.?[0-9]")


def is_interactive() -> bool:
    """Return whether somebody at a terminal can be asked: neither in a pipe nor in a background job.

    A background job that reads from its terminal is stopped by the system.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    try:
        return not hasattr(os, "tcgetpgrp") or os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # a terminal that does not control this process, so that it has no jobs
        return True


def ask(question: str) -> str:
    """Return a line that the user enters at the terminal, in lower case, without white space around it."""
    sys.stderr.write(f"{question} ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower()


class UsageError(ValueError):
    """The command line is malformed."""


class CommandParser(argparse.ArgumentParser):
    """A parser that raises ``UsageError`` with one line, where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        """Raise the error; see ``argparse.ArgumentParser.error``."""
        raise UsageError(f"{self.prog}: {message}; see `{self.prog} --help`.")


def join_negative_values(words: Sequence[str]) -> list[str]:
    """Return ``--views -75,0`` as ``--views=-75,0``, because argparse takes words with a dash for options."""
    joined: list[str] = []
    for word in words:
        option = joined[-1] if joined else ""
        if _NEGATIVE_VALUE.match(word) and re.fullmatch(r"--[^=]+", option):
            joined[-1] = f"{option}={word}"
        else:
            joined.append(word)
    return joined


class ConsoleMonitor:
    """A ``progress.Monitor`` that shows one progress bar per stage on stderr and interrupts at Ctrl-C.

    Within its ``with`` block the first Ctrl-C makes the next calls raise ``Interrupted``, so that the work
    ends in a consistent state; the second one raises KeyboardInterrupt at once. SIGTERM, which docker and
    Slurm send before they kill a process, is the same as Ctrl-C.
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""
        self._redraw = Timer(_REDRAW_SECONDS)
        self._is_interrupted = False
        self._previous_handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> ConsoleMonitor:
        """Install the handler of the signals."""
        self._previous_handlers = {number: signal.signal(number, self._interrupt) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the previous handlers and close the bar."""
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
        with suppress(OSError):
            self._close_bar()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Close the bar and restore the previous handlers within the block, such as to ask the user."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()

    def __call__(
        self, stage: str, done: int, total: int, *, note: str = "", preview: Preview | None = None
    ) -> None:
        """Show progress; raises ``Interrupted`` after Ctrl-C. See ``progress.Monitor``."""
        with suppress(OSError):  # the work goes on when nobody reads stderr any more
            self._show(stage, done, total, note)
        if self._is_interrupted:
            raise Interrupted

    def _show(self, stage: str, done: int, total: int, note: str) -> None:
        """Update the bar of a stage."""
        if self._bar is None or stage != self._stage:
            self._close_bar()
            self._stage = stage
            # A resumed stage begins in the middle: its rate is that of the units from here on.
            self._bar = tqdm(
                total=total,
                initial=done,
                unit=_UNITS.get(stage, "frame"),
                desc=stage,
                file=sys.stderr,
                dynamic_ncols=True,
            )
        if note:
            self._bar.set_postfix_str(note, refresh=False)
        if done != self._bar.n:
            self._bar.update(done - self._bar.n)
        elif self._redraw.is_due():  # an update by 0 would start the time of the unit again, for its rate
            self._bar.refresh()
        if done == total:
            self._close_bar()

    def _close_bar(self) -> None:
        """Close the bar, if there is one; it then shows the latest progress."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: set a flag, because an exception could be raised within any library."""
        if self._is_interrupted:
            raise KeyboardInterrupt
        self._is_interrupted = True
        _write_from_handler("\ninterrupting; press Ctrl-C again to stop at once\n")


def _write_from_handler(text: str) -> None:
    """Write to stderr from a signal handler: not to its buffer, which may be in use."""
    try:
        os.write(sys.stderr.fileno(), text.encode())
    except ValueError:  # a stream without a descriptor
        sys.stderr.write(text)
    except OSError:
        pass  # nobody reads it any more
