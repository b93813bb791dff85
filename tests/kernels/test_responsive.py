"""Calls on another thread, during which the caller can cancel."""

from __future__ import annotations

import threading

import pytest

from stag4d.kernels.responsive import is_running, run_responsively


def test_check_is_called_until_the_function_returns():
    checks, is_checked = [], threading.Event()

    def check() -> None:
        checks.append(threading.current_thread())
        if len(checks) == 3:
            is_checked.set()

    assert run_responsively(lambda: is_checked.wait(60), check) is True
    assert set(checks) == {threading.current_thread()}


def test_a_check_that_raises_does_not_wait_for_the_function():
    is_released, is_done = threading.Event(), threading.Event()

    def work() -> None:
        is_released.wait(60)
        is_done.set()

    def cancel() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_responsively(work, cancel)
    assert not is_done.is_set() and is_running()
    is_released.set()
    assert is_done.wait(60)  # the work was not stopped


@pytest.mark.parametrize(
    "error", [ValueError("start: 0 points"), SystemExit(3), KeyboardInterrupt()], ids=repr
)
def test_errors_of_the_function_are_raised_in_the_caller(error):
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        run_responsively(fail, lambda: None)
    assert caught.value is error
