"""What the commands need of a terminal: errors of one line, values that start with a minus, a bar, Ctrl-C."""

from __future__ import annotations

import argparse
import functools
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from tqdm import tqdm

from ..types import StepReport

_NEGATIVE_VALUE = re.compile(r"-\.?[0-9]")


class UsageError(ValueError):
    """The command line does not say what to do."""


class CommandParser(argparse.ArgumentParser):
    """A parser that raises ``UsageError`` with one line, where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise UsageError(f"{self.prog}: {message}; see `{self.prog} --help`.")


def join_negative_values(words: Sequence[str]) -> list[str]:
    """Return ``--views -75,0`` as ``--views=-75,0``: argparse takes a word with a dash for an option."""
    joined: list[str] = []
    for word in words:
        option = joined[-1] if joined else ""
        if _NEGATIVE_VALUE.match(word) and re.fullmatch(r"--[^=]+", option):
            joined[-1] = f"{option}={word}"
        else:
            joined.append(word)
    return joined


class Progress:
    """A bar on stderr with the loss and the time left; it appears with the first report.

    Args:
        num_steps: Steps planned.
    """

    def __init__(self, num_steps: int) -> None:
        self._num_steps = num_steps
        self._bar: Any = None

    def __enter__(self) -> Progress:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()

    def __call__(self, report: StepReport) -> None:
        """Show a step."""
        if self._bar is None:
            self._bar = tqdm(
                total=self._num_steps, initial=report.step, unit="step", file=sys.stderr, dynamic_ncols=True
            )
        loss = f"{report.losses['total']:.4f}"
        self._bar.set_postfix(loss=loss, gaussians=report.num_gaussians, refresh=False)
        self._bar.update(report.step - self._bar.n)


class StageBars:
    """One bar on stderr for each stage of a work, one after the other.

    Args:
        units: What is counted in each stage.
    """

    def __init__(self, **units: str) -> None:
        self._units = units
        self._bar: Any = None
        self._stage = ""

    def __enter__(self) -> StageBars:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show how much of a stage is done."""
        if stage != self._stage:
            self.__exit__()
            self._stage = stage
            self._bar = tqdm(
                total=total,
                initial=done - 1,
                unit=self._units[stage],
                desc=stage,
                file=sys.stderr,
                dynamic_ncols=True,
            )
        self._bar.update(done - self._bar.n)
        if done == total:
            self._bar.close()


@contextmanager
def frame_bar(work: str) -> Iterator[Callable[[int, int], None]]:
    """Give what shows a bar of one work's frames: done, and of how many."""
    with StageBars(**{work: "frame"}) as bars:
        yield functools.partial(bars, work)


class Interrupt:
    """Turns the first Ctrl-C into a question that the fit asks after every step; the second is immediate."""

    def __init__(self) -> None:
        self.is_asked = False

    def __call__(self) -> bool:
        """Return whether to stop."""
        return self.is_asked

    def __enter__(self) -> Interrupt:
        """Take over Ctrl-C."""
        self._previous = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        """Give Ctrl-C back."""
        signal.signal(signal.SIGINT, self._previous)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        """Take a Ctrl-C."""
        if self.is_asked:
            raise KeyboardInterrupt
        self.is_asked = True
        sys.stderr.write("\nstopping; what was reached is kept (again to stop at once)\n")


def stage_listeners(bars: StageBars, stop: Interrupt) -> dict[str, Any]:
    """Return the listeners of the multi-view stage: they show how far it is and end it at Ctrl-C."""

    def on_batch() -> None:
        if stop():
            raise KeyboardInterrupt

    def on_stage(stage: str, done: int, total: int) -> None:
        bars(stage, done, total)
        on_batch()

    return {"on_stage": on_stage, "on_batch": on_batch}
