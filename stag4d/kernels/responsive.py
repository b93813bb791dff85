"""Calls that cannot be interrupted, such as compilation, during which the user can still cancel."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

CHECK_SECONDS = 0.05  # between two checks
_THREAD_NAME = "stag4d-responsive"

Result = TypeVar("Result")


def run_responsively(function: Callable[[], Result], check: Callable[[], object]) -> Result:
    """Run a function on another thread, and call ``check`` on the caller's until it returns.

    Numba compiles a kernel in one call, and libraries are imported in one. If ``check`` raises, the other
    thread goes on to the end of the function, but the caller does not wait for it.

    Args:
        function: The work; an error in it is raised here.
        check: Called on the caller's thread; raises an exception to cancel.

    Returns:
        What the function returned.
    """
    results: list[Result] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(function())
        except Exception as error:  # noqa: BLE001 raised in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name=_THREAD_NAME, daemon=True)
    thread.start()
    while thread.is_alive():
        check()
        thread.join(CHECK_SECONDS)
    if errors:
        raise errors[0]
    return results[0]


def is_running() -> bool:
    """Return whether the function of a cancelled call still runs; the end of a process waits for it."""
    return any(thread.name == _THREAD_NAME for thread in threading.enumerate())
