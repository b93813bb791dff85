"""Chromium, and a player in it."""

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
    """What starts Chromium with flags."""
    with launcher() as start:
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
    return base64.b64encode(encode_s4d(box)).decode()


@pytest.fixture
def viewer(page: Page, box_clip: str) -> Viewer:
    """One player, 480 by 360 pixels, that shows the box and stands still."""
    return Viewer(page, page.evaluate("(clip) => add(480, 360, clip)", box_clip))
