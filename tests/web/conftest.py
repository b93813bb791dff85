"""Chromium, and a player in it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from needed import missing, program
from solid_scene import solid_scene
from viewer_page import Viewer, open_page

from stag4d.export import pack_clip
from stag4d.scene import GaussianModel4D

try:
    from playwright.sync_api import Browser, Page, sync_playwright
except ImportError:
    sync_playwright = None

FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]


@pytest.fixture(scope="module")  # no longer: while it is open, no other test can run an event loop
def start_browser() -> Iterator[Callable[..., AbstractContextManager[Browser]]]:
    """What starts Chromium with flags."""
    if sync_playwright is None:
        missing("the Python package playwright")
    executable = program("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:

        @contextmanager
        def start(*flags: str) -> Iterator[Browser]:
            browser = playwright.chromium.launch(executable_path=executable, args=flags)
            yield browser
            browser.close()

        yield start


@pytest.fixture(scope="module")
def browser(start_browser: Callable[..., AbstractContextManager[Browser]]) -> Iterator[Browser]:
    """Chromium that draws WebGL in software."""
    with start_browser(*FLAGS) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that can import the viewer."""
    with open_page(browser) as page:
        yield page


@pytest.fixture(scope="session")
def box() -> GaussianModel4D:
    """The opaque box that slides and turns."""
    return solid_scene()


@pytest.fixture(scope="session")
def box_clip(box: GaussianModel4D) -> str:
    """Its clip, base64."""
    return base64.b64encode(pack_clip(box)).decode()


@pytest.fixture
def viewer(page: Page, box_clip: str) -> Viewer:
    """One player, 480 by 360 pixels, that shows the box and stands still."""
    return Viewer(page, page.evaluate("(clip) => add(480, 360, clip)", box_clip))
