"""Chromium with WebGL rendered in software."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from needed import missing, program

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TIMEOUT_MS = 120_000  # of a condition that a test waits for; software rendering on a busy machine is slow
FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")


@contextmanager
def launcher() -> Iterator[Callable[..., AbstractContextManager[Browser]]]:
    """Yield a context manager that launches Chromium with given flags.

    While it is open, no other event loop can run in the process.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("the Python package playwright")
    executable = program("chromium", "chromium-browser", "google-chrome", "chrome")
    with sync_playwright() as playwright:

        @contextmanager
        def start(*flags: str) -> Iterator[Browser]:
            browser = playwright.chromium.launch(executable_path=executable, args=flags)
            try:
                yield browser
            finally:
                browser.close()

        yield start


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield one Chromium with ``FLAGS``; see ``launcher``."""
    with launcher() as start, start(*FLAGS) as browser:
        yield browser
