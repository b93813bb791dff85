"""The viewer on a touch screen: the exported page and players, with Chromium's touch emulation."""

from __future__ import annotations

import pytest
from chromium import TIMEOUT_MS
from viewer_page import Viewer, open_page

from stag4d.export import encode_s4d, write_html

pytestmark = pytest.mark.browser
PHONES = [(390, 780), (780, 390), (320, 600)]  # CSS pixels
SIZES_OF_CONTROLS = """() => {
  const root = document.querySelector(".stag4d-viewer").shadowRoot;
  const controls = [...root.querySelectorAll("button, select, input")];
  return controls.filter((control) => control.offsetParent).map((control) => {
    const { left, right, width, height } = (control.closest("label") ?? control).getBoundingClientRect();
    return { name: control.title, left, right, width, height };
  });
}"""


@pytest.fixture(scope="module")
def file(tmp_path_factory, box):
    """The exported page of the box."""
    path = tmp_path_factory.mktemp("touch") / "box.html"
    write_html(path, encode_s4d(box), "box")
    return path


@pytest.fixture(params=PHONES, ids=lambda size: f"{size[0]}x{size[1]}")
def phone(browser, file, request):
    """The exported page on a phone, paused."""
    size = {"width": request.param[0], "height": request.param[1]}
    options = {"has_touch": True, "is_mobile": True, "reduced_motion": "reduce"}
    context = browser.new_context(viewport=size, **options)
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    page.goto(file.as_uri())
    page.get_by_text("1,176 splats").wait_for()
    yield page
    context.close()


def test_controls_are_large_enough_for_a_finger_and_inside_of_the_screen(phone):
    width = phone.viewport_size["width"]
    phone.get_by_role("button", name="Settings").tap()
    controls = phone.evaluate(SIZES_OF_CONTROLS)
    assert len(controls) > 20
    small = [one for one in controls if one["height"] < 44 or one["width"] < 44]
    assert small == []
    assert [one for one in controls if one["left"] < -0.5 or one["right"] > width + 0.5] == []
    assert phone.evaluate("document.documentElement.scrollWidth") == width


def test_image_keeps_a_third_of_the_screen(phone):
    height = phone.evaluate(
        "document.querySelector('.stag4d-viewer').shadowRoot.querySelector('canvas').clientHeight"
    )
    assert height > phone.viewport_size["height"] / 3


def test_settings_are_usable_by_touch(phone):
    phone.get_by_role("button", name="Settings").tap()
    grid = phone.get_by_role("checkbox", name="Ground grid and axes (G)")
    grid.tap()
    assert grid.is_checked()
    phone.get_by_text("Grid and axes", exact=True).tap()
    assert not grid.is_checked()
    phone.get_by_role("button", name="Settings").tap()
    assert not phone.get_by_role("dialog", name="Settings").is_visible()


@pytest.mark.parametrize("is_compared", [False, True])
def test_image_keeps_moves_of_two_fingers_from_the_page(browser, box_s4d, is_compared):
    """ComfyUI zooms its graph on touchmove events of two fingers that reach it."""
    with open_page(browser, has_touch=True) as page:
        viewer = Viewer(page, page.evaluate("(s4d) => add(480, 360, s4d)", box_s4d))
        if is_compared:  # one of the fingers is on the divider
            viewer.run("await player.viewport.loadSecond(bytes(value))", box_s4d)
        page.evaluate(
            "window.seen = [];"
            "for (const kind of ['touchstart', 'touchmove', 'touchend']) {"
            "  document.body.addEventListener(kind, () => seen.push(kind), true);"
            "}"
        )
        session = page.context.new_cdp_session(page)
        for kind, points in (
            ("touchStart", [(140, 150), (240, 150)]),
            ("touchMove", [(90, 150), (290, 150)]),
            ("touchEnd", []),
        ):
            touches = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})
        if not is_compared:
            assert viewer.run("return player.getView().radius") == pytest.approx(1)
        assert "touchmove" not in page.evaluate("seen")
        assert "touchend" in page.evaluate("seen")  # ComfyUI counts the fingers


def test_wipe_is_dragged_with_a_finger(browser, box_s4d):
    with open_page(browser, has_touch=True) as page:
        viewer = Viewer(page, page.evaluate("(s4d) => add(480, 360, s4d)", box_s4d))
        viewer.run("await player.viewport.loadSecond(bytes(value))", box_s4d)
        session = page.context.new_cdp_session(page)
        for kind, points in (
            ("touchStart", [{"x": 240, "y": 60}]),
            ("touchMove", [{"x": 360, "y": 60}]),
            ("touchEnd", []),
        ):
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        assert viewer.run("return player.viewport.comparison.wipe") == pytest.approx(0.75, abs=0.01)
        assert viewer.run("return player.getView().azimuth") == 0
