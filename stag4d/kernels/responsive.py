"""Calls that cannot be interrupted, such as compilation, during which the user can still cancel."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

CHECK_SECONDS = 0.05  # between two checks

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

    thread = threading.Thread(target=run, name="stag4d-responsive", daemon=True)
    thread.start()
    while thread.is_alive():
        check()
        thread.join(CHECK_SECONDS)
    if errors:
        raise errors[0]
    return results[0]
