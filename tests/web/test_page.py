"""The self-contained HTML page in Chromium: from disk, offline, without WebGL2, with a damaged file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from chromium import TIMEOUT_MS

from stag4d.export import encode_s4d, write_html

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def file(tmp_path_factory, box) -> Path:
    """The exported page of the box."""
    path = tmp_path_factory.mktemp("page") / "box.html"
    write_html(path, encode_s4d(box), "sliding box")
    return path


@contextmanager
def opened(browser, path: Path, **options) -> Iterator:
    """Yield the page, opened from disk, and the list of its errors, console warnings and network requests."""
    context = browser.new_context(viewport={"width": 700, "height": 500}, offline=True, **options)
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type in ("error", "warning") else None)
    page.on("request", lambda request: problems.append(request.url) if "file:" not in request.url else None)
    page.goto(path.as_uri())
    yield page, problems
    context.close()


CENTER_PIXEL = (
    "() => { const canvas = document.querySelector('.stag4d-viewer').shadowRoot.querySelector('canvas');"
    "return [...canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data]; }"
)


def test_page_from_disk_plays_offline_without_a_warning(browser, file):
    with opened(browser, file) as (page, problems):
        assert page.title() == "sliding box"
        page.get_by_role("button", name="Pause (space)").wait_for()
        assert page.evaluate(CENTER_PIXEL)[3] > 200
        first = page.get_by_role("slider", name="Time").get_attribute("aria-valuetext")
        page.wait_for_function(
            "(first) => document.querySelector('.stag4d-viewer').shadowRoot.querySelector('[type=range]')"
            ".getAttribute('aria-valuetext') !== first",
            arg=first,
        )
        assert problems == []


def test_wheel_and_keys_work_without_a_click(browser, file):
    with opened(browser, file) as (page, _):
        page.get_by_role("button", name="Pause (space)").wait_for()
        page.keyboard.press(" ")
        page.get_by_role("button", name="Play (space)").wait_for()
        page.keyboard.press("2")
        page.get_by_role("button", name=re.compile("^View 2"), pressed=True).wait_for()
        page.mouse.move(300, 200)
        page.mouse.wheel(0, 200)
        page.get_by_role("button", name=re.compile("^View 2"), pressed=False).wait_for()


def test_page_does_not_play_when_the_user_prefers_reduced_motion(browser, file):
    with opened(browser, file, reduced_motion="reduce") as (page, _):
        page.get_by_text("1,176 splats").wait_for()
        assert page.get_by_role("button", name="Play (space)").is_visible()


def test_page_that_is_made_narrow_still_shows_the_whole_object(browser, file):
    with opened(browser, file, reduced_motion="reduce") as (page, _):
        page.get_by_text("1,176 splats").wait_for()
        page.get_by_role("button", name="The input camera (0)", pressed=True).wait_for()
        page.set_viewport_size({"width": 160, "height": 700})  # the input camera shows only the middle
        page.get_by_role("button", name="The input camera (0)", pressed=False).wait_for()


def test_downloaded_page_is_the_page_itself(browser, file, tmp_path):
    with opened(browser, file, reduced_motion="reduce") as (page, problems):
        page.get_by_text("1,176 splats").wait_for()
        page.get_by_role("button", name="Download", exact=True).click()
        with page.expect_download() as download:
            page.get_by_role("dialog", name="Download").get_by_text("Page (.html)").click()
        assert download.value.suggested_filename == "sliding box.html"
        download.value.save_as(tmp_path / "copy.html")
        assert problems == []
    original, copy = (path.read_text(encoding="utf-8") for path in (file, tmp_path / "copy.html"))
    assert "".join(copy.split()) == "".join(original.split())  # the parser moves blanks around <head>
    with opened(browser, tmp_path / "copy.html") as (page, problems):
        page.get_by_role("button", name="Pause (space)").wait_for()
        assert problems == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (r'(id="s4d">)[^<]{40}', r"\1", "This file is not an .s4d file."),
        (r'(id="s4d">)[^<]*', r"\1***", "The .s4d file in this page is damaged."),
        (r"[^<]{400}(</script>)", r"\1", "This .s4d file is damaged"),
    ],
)
def test_damaged_s4d_data_is_reported(browser, file, tmp_path, old, new, message):
    damaged = re.sub(old, new, file.read_text(encoding="utf-8"), count=1)
    (tmp_path / "damaged.html").write_text(damaged, encoding="utf-8")
    with opened(browser, tmp_path / "damaged.html") as (page, problems):
        page.get_by_role("status").get_by_text(message).wait_for()
        assert problems == []


def test_browser_without_webgl2_is_reported(start_browser, file):
    with start_browser("--no-sandbox", "--disable-gpu", "--disable-3d-apis") as browser:
        with opened(browser, file) as (page, problems):
            page.get_by_role("status").get_by_text("no WebGL2").wait_for()
            assert problems == []
