"""A terminal in place of stdin, at which the user types an answer."""

from __future__ import annotations

import sys
from typing import NoReturn

import pytest


class Terminal:
    """A terminal.

    Args:
        answer: The line that the user types, with its end.

    Attributes:
        num_read: How many lines were read.
    """

    def __init__(self, answer: str) -> None:
        self.answer, self.num_read = answer, 0

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        self.num_read += 1
        return self.answer

    def fileno(self) -> NoReturn:
        raise OSError("a terminal of the test has no descriptor")


def at_terminal(monkeypatch: pytest.MonkeyPatch, answer: str) -> Terminal:
    """Replace stdin by a terminal at which the user types an answer."""
    terminal = Terminal(answer)
    monkeypatch.setattr(sys, "stdin", terminal)
    return terminal
