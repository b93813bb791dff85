"""Chromium and viewer players on its pages."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import pytest
from chromium import FLAGS, launcher
from solid_scene import solid_scene
from viewer_page import Viewer, open_page

from stag4d.export import encode_s4d
from stag4d.scene import GaussianModel4D

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")  # no longer: while it is open, no other test can run an event loop
def start_browser() -> Iterator[Callable[..., AbstractContextManager[Browser]]]:
    """A context manager that launches Chromium with given flags."""
    with launcher() as start:
        yield start


@pytest.fixture(scope="module")
def browser(start_browser: Callable[..., AbstractContextManager[Browser]]) -> Iterator[Browser]:
    """Chromium with WebGL rendered in software."""
    with start_browser(*FLAGS) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that can import the viewer."""
    with open_page(browser) as page:
        yield page


@pytest.fixture
def page_with_manual_clock(browser: Browser) -> Iterator[Page]:
    """A page on which time stands still except in ``Viewer.advance``; for tests of playback."""
    with open_page(browser, has_manual_clock=True) as page:
        yield page


@pytest.fixture(scope="session")
def box() -> GaussianModel4D:
    """The scene of ``solid_scene``: an opaque box that slides and turns."""
    return solid_scene()


@pytest.fixture(scope="session")
def box_s4d(box: GaussianModel4D) -> str:
    """The box as a `.s4d` file, base64."""
    return base64.b64encode(encode_s4d(box)).decode()


@pytest.fixture
def viewer(page: Page, box_s4d: str) -> Viewer:
    """One paused player of 480 by 360 pixels that shows the box."""
    return Viewer(page, page.evaluate("(s4d) => add(480, 360, s4d)", box_s4d))


@pytest.fixture
def viewer_with_manual_clock(page_with_manual_clock: Page, box_s4d: str) -> Viewer:
    """The same player on a page with a manual clock."""
    page = page_with_manual_clock
    return Viewer(page, page.evaluate("(s4d) => add(480, 360, s4d)", box_s4d))
