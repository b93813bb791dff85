"""Calls that cannot be interrupted, such as compilation, during which the user can still cancel."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from ..progress import Check

CHECK_SECONDS = 0.05  # between two checks
_THREAD_NAME = "stag4d-responsive"

Result = TypeVar("Result")


def run_responsively(function: Callable[[], Result], check: Check) -> Result:
    """Run a function on another thread, and call ``check`` on the caller's until it returns.

    Numba compiles a kernel in one call, and libraries are imported in one. If ``check`` raises, the other
    thread goes on to the end of the function, but the caller does not wait for it.

    Args:
        function: The work. On its thread PyTorch's current CUDA device is the first one, not the caller's.
        check: Called on the caller's thread; raises an exception to cancel.

    Returns:
        What the function returned.

    Raises:
        BaseException: what the function raises, also SystemExit, or what ``check`` raises.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 raised in the caller's thread
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
    """Return whether the function of any call still runs, such as of one that was cancelled.

    It runs on a daemon thread, for which Python does not wait when the process ends. Native code that still
    runs then, such as LLVM's compiler, can crash while the interpreter and the libraries shut down;
    ``os._exit`` avoids that.
    """
    return any(thread.name == _THREAD_NAME for thread in threading.enumerate())
