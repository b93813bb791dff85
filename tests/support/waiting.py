"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, seconds: float = 240.0, what: str = "the condition") -> T:
    """Call ``condition`` ten times a second until its value is true, and return the value.

    Raises:
        TimeoutError: If it is not true within ``seconds``.
    """
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what} was not met within {seconds:.0f} seconds")
        time.sleep(0.1)
    return value
