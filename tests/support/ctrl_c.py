"""A console monitor during whose work the user presses Ctrl-C."""

from __future__ import annotations

import signal

from stag4d.cli.console import ConsoleMonitor


class CtrlCMonitor(ConsoleMonitor):
    """A monitor that receives SIGINT before one of its calls.

    Attributes:
        moment: Stage and units done of that call.
        presses: How many signals it receives there.
    """

    moment: tuple[str, int] = ("optimize", 10)
    presses = 1

    def __call__(self, stage: str, done: int, total: int, **options: object) -> None:
        for _ in range(self.presses if (stage, done) == self.moment else 0):
            signal.raise_signal(signal.SIGINT)
        super().__call__(stage, done, total, **options)
