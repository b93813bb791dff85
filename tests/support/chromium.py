"""Chromium, started so that it draws WebGL in software."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from needed import missing, program

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")


@contextmanager
def launcher() -> Iterator[Callable[..., AbstractContextManager[Browser]]]:
    """Yield what starts Chromium with flags; until it ends, no other event loop can run in the process."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("the Python package playwright")
    executable = program("chromium", "chromium-browser", "google-chrome", "chrome")
    with sync_playwright() as playwright:

        @contextmanager
        def start(*flags: str) -> Iterator[Browser]:
            browser = playwright.chromium.launch(executable_path=executable, args=flags)
            yield browser
            browser.close()

        yield start


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield one Chromium; see ``launcher``."""
    with launcher() as start, start(*FLAGS) as browser:
        yield browser
