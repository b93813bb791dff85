"""The terminal: one-line errors, option values that start with a minus, progress bars, Ctrl-C."""

from __future__ import annotations

import argparse
import re
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn

from tqdm import tqdm

from ..progress import Interrupted, Preview

_UNITS = {"denoise": "frame step", "guidance": "network pass", "optimize": "step"}  # of other stages: frame
_NEGATIVE_VALUE = re.compile(r"-\.?[0-9]")


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

    Within its ``with`` block the first Ctrl-C makes the next call raise ``Interrupted``, so that the work
    ends in a consistent state; the second one raises KeyboardInterrupt at once.
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""
        self._is_interrupted = False
        self._previous_handler: Any = None

    def __enter__(self) -> ConsoleMonitor:
        """Install the handler of Ctrl-C."""
        self._previous_handler = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the previous handler of Ctrl-C and close the bar."""
        signal.signal(signal.SIGINT, self._previous_handler)
        self._close_bar()

    def __call__(
        self, stage: str, done: int, total: int, *, note: str = "", preview: Preview | None = None
    ) -> None:
        """Show progress; raises ``Interrupted`` after Ctrl-C. See ``progress.Monitor``."""
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
        self._bar.update(done - self._bar.n)
        if done == total:
            self._close_bar()
        if self._is_interrupted:
            raise Interrupted

    def _close_bar(self) -> None:
        """Close the bar, if there is one; it then shows the latest progress."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal of Ctrl-C."""
        if self._is_interrupted:
            raise KeyboardInterrupt
        self._is_interrupted = True
        sys.stderr.write("\ninterrupting after the current step; press Ctrl-C again to stop at once\n")
