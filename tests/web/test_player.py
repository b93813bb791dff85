"""The player's gestures, keys, buttons and saved views, and files that it refuses."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest
from viewer_page import Viewer, open_page

from stag4d.scene import GaussianModel4D, SceneInfo

pytestmark = pytest.mark.browser


def count_changes(viewer: Viewer) -> None:
    """Count the player's change events from now on."""
    viewer.run("window.changes = 0; player.addEventListener('change', () => { window.changes += 1; })")


def changes(viewer: Viewer) -> int:
    """Return the number of change events so far."""
    return viewer.page.evaluate("window.changes")


def scroll_wheel(viewer: Viewer, pixels: int) -> None:
    """Turn the mouse wheel by some pixels and wait until the page has handled the event."""
    viewer.page.evaluate(
        "window.isHandled = false;"
        "addEventListener('wheel', () => setTimeout(() => (isHandled = true)), { capture: true, once: true })"
    )
    viewer.page.mouse.wheel(0, pixels)
    viewer.page.wait_for_function("isHandled")


def view(viewer: Viewer) -> dict:
    """Return the view that a program would save."""
    return viewer.run("return player.getView()")


def drag(viewer: Viewer, right: int, down: int, button: str = "left") -> None:
    """Drag from the center of the canvas by some pixels."""
    box = viewer.page.locator("canvas").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    viewer.page.mouse.move(x, y)
    viewer.page.mouse.down(button=button)
    viewer.page.mouse.move(x + right, y + down, steps=4)
    viewer.page.mouse.up(button=button)


def test_first_view_is_the_input_camera_at_the_first_frame(viewer):
    assert view(viewer) == {
        "version": 1,
        "azimuth": 0,
        "elevation": 0,
        "radius": 2,
        "target": [0, 0, 0],
        "fovy": 49.1,
        "time": 0,
    }
    assert viewer.screenshot()[..., 3].max() > 200
    viewer.page.get_by_text("1,176 splats").wait_for()
    viewer.page.get_by_text("1 / 5 · 0.00 s").wait_for()


def test_drag_orbits_and_fires_one_change_event(viewer):
    count_changes(viewer)
    before = viewer.canvas()
    drag(viewer, 60, 30)
    found = view(viewer)
    assert found["azimuth"] < -20  # the object follows the pointer
    assert found["elevation"] > 10
    assert found["target"] == [0, 0, 0]
    assert changes(viewer) == 1
    viewer.wait_for_render()
    assert not np.array_equal(viewer.canvas(), before)


@pytest.mark.parametrize("button", ["right", "Shift"])
def test_drag_with_right_button_or_shift_pans(viewer, button):
    if button == "Shift":
        viewer.page.keyboard.down("Shift")
    drag(viewer, 50, 0, button="right" if button == "right" else "left")
    viewer.page.keyboard.up("Shift")
    found = view(viewer)
    assert found["target"][0] < -0.1
    assert found["azimuth"] == 0


def test_wheel_zooms_only_while_the_viewer_has_focus(viewer):
    viewer.page.mouse.move(200, 100)
    scroll_wheel(viewer, 300)
    assert view(viewer)["radius"] == 2
    viewer.page.mouse.down()
    viewer.page.mouse.up()
    count_changes(viewer)
    scroll_wheel(viewer, 300)
    assert view(viewer)["radius"] > 2.5
    scroll_wheel(viewer, -600)
    assert view(viewer)["radius"] < 1.6
    assert changes(viewer) == 2


def test_one_finger_orbits_and_two_fingers_pan_and_zoom(browser, box_s4d):
    with open_page(browser, has_touch=True) as page:
        viewer = Viewer(page, page.evaluate("(s4d) => add(480, 360, s4d)", box_s4d))
        session = page.context.new_cdp_session(page)

        def touch(kind: str, *points: tuple[int, int]) -> None:
            touches = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

        touch("touchStart", (200, 150))
        touch("touchMove", (260, 150))
        touch("touchEnd")
        assert view(viewer)["azimuth"] < -20
        assert view(viewer)["radius"] == 2
        azimuth = view(viewer)["azimuth"]
        touch("touchStart", (150, 150), (250, 150))
        touch("touchMove", (100, 150), (300, 150))
        touch("touchEnd")
        assert view(viewer)["radius"] == pytest.approx(1)
        assert view(viewer)["azimuth"] == azimuth


def test_keys_orbit_step_play_select_cameras_and_fit(viewer):
    page = viewer.page
    page.locator("canvas").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    assert (view(viewer)["azimuth"], view(viewer)["elevation"]) == (5, 5)
    page.keyboard.press(".")
    assert view(viewer)["time"] == 0.25
    page.keyboard.press(",")
    page.keyboard.press(",")
    assert view(viewer)["time"] == 1
    page.keyboard.press("2")
    assert (view(viewer)["azimuth"], view(viewer)["elevation"]) == (90, -20)
    page.keyboard.press("Home")
    assert (view(viewer)["azimuth"], view(viewer)["elevation"]) == (0, 0)
    page.keyboard.press("f")
    assert view(viewer)["radius"] < 1.9
    page.keyboard.press(" ")
    assert viewer.run("return player.clock.isPlaying")
    page.keyboard.press(" ")
    assert not viewer.run("return player.clock.isPlaying")


def test_keys_without_a_meaning_in_the_viewer_reach_the_page(viewer):
    viewer.page.evaluate("window.keys = []; addEventListener('keydown', (event) => keys.push(event.key))")
    viewer.page.locator("canvas").focus()
    for key in (" ", "ArrowLeft", "f", "3", "Control+z", "Delete"):
        viewer.page.keyboard.press(key)
    assert viewer.page.evaluate("keys") == ["Control", "z", "Delete"]


def test_keys_that_a_control_handles_do_not_reach_the_page(viewer):
    """ComfyUI has shortcuts of single letters."""
    page = viewer.page
    page.evaluate("window.keys = []; addEventListener('keydown', (event) => keys.push(event.key))")
    speed = page.get_by_role("combobox", name="Speed")
    for key in ("4", "r", "w", "a"):
        speed.press(key)
    assert speed.input_value() == "4"  # the default action is kept
    assert page.evaluate("keys") == []
    speed.press("Control+Enter")
    assert page.evaluate("keys").count("Enter") == 1


def test_space_on_a_focused_button_presses_the_button(viewer):
    viewer.page.get_by_role("button", name="White background").focus()
    viewer.page.keyboard.press(" ")
    assert viewer.run("return [player.background, player.clock.isPlaying]") == ["white", False]


def test_playback_loops_until_it_is_paused_and_only_the_pause_fires_a_change_event(viewer_with_manual_clock):
    viewer = viewer_with_manual_clock  # five frames, ten a second
    page = viewer.page
    count_changes(viewer)
    page.get_by_role("button", name="Play (space)").click()
    viewer.advance(300)
    page.get_by_text("4 / 5 · ").wait_for()
    viewer.advance(300)
    page.get_by_text("2 / 5 · ").wait_for()
    assert changes(viewer) == 0
    page.get_by_role("button", name="Pause (space)").click()
    assert changes(viewer) == 1
    paused_at = view(viewer)["time"]
    viewer.advance(300)
    assert view(viewer)["time"] == paused_at


def test_time_slider_speed_and_ping_pong(viewer):
    page = viewer.page
    count_changes(viewer)
    slider = page.get_by_role("slider", name="Time")
    slider.fill("3")
    assert view(viewer)["time"] == 0.75
    page.get_by_text("4 / 5 · 0.30 s").wait_for()
    assert slider.get_attribute("aria-valuetext") == "frame 4 / 5, 0.30 s"
    slider.press("ArrowLeft")
    assert view(viewer)["time"] == 0.5
    assert changes(viewer) == 2
    page.get_by_role("combobox", name="Speed").select_option("0.25×")
    page.get_by_role("button", name=re.compile("^Loops")).click()
    assert viewer.run("return [player.clock.speed, player.clock.isPingPong]") == [0.25, True]
    page.get_by_role("button", name=re.compile("^Plays forward and back")).click()
    assert not viewer.run("return player.clock.isPingPong")


def test_camera_buttons_name_their_pose_and_show_which_is_selected(viewer):
    page = viewer.page
    count_changes(viewer)
    page.get_by_role("button", name="View 3: azimuth 150°, elevation 30°").click()
    assert (view(viewer)["azimuth"], view(viewer)["elevation"]) == (150, 30)
    viewer.wait_for_render()  # which updates the controls
    pressed = page.get_by_role("group", name="Cameras").get_by_role("button", pressed=True)
    assert pressed.all_text_contents() == ["3"]
    page.get_by_role("button", name="The input camera (0)").click()
    assert view(viewer)["azimuth"] == 0
    assert changes(viewer) == 2
    page.get_by_role("button", name="Fit to view (F)").click()
    viewer.wait_for_render()
    assert pressed.count() == 0


def test_fit_frames_the_whole_object_closely(viewer):
    viewer.set_view(azimuth=40, elevation=20, radius=9, target=[2, 0, 0])
    viewer.page.get_by_role("button", name="Fit to view (F)").click()
    rows, columns = np.nonzero(viewer.screenshot()[..., 3] > 128)
    height, width = viewer.screenshot().shape[:2]
    assert 0 < rows.min() < rows.max() < height - 1
    assert 0 < columns.min() < columns.max() < width - 1
    assert rows.max() - rows.min() > 0.6 * height


def test_background_buttons_and_color(viewer):
    for name, corner in (
        ("White", [255, 255, 255, 255]),
        ("Black", [0, 0, 0, 255]),
        ("Checkered", [0, 0, 0, 0]),
    ):
        viewer.page.get_by_role("button", name=re.compile(f"^{name} *background")).click()
        assert viewer.screenshot()[0, 0].tolist() == corner
    viewer.run(
        "const input = player.element.shadowRoot.querySelector('input[type=color]'); input.value = '#204060';"
        "input.dispatchEvent(new Event('input'))"
    )
    assert viewer.screenshot()[0, 0].tolist() == [0x20, 0x40, 0x60, 255]
    with pytest.raises(Exception, match="background: red; expected checker, white, black or #rrggbb"):
        viewer.run("player.setBackground('red')")


def test_screenshot_is_a_png_with_the_frame_in_its_name(viewer, tmp_path):
    viewer.set_view(time=0.5)
    with viewer.page.expect_download() as download:
        viewer.page.get_by_role("button", name="Save screenshot as PNG").click()
    assert download.value.suggested_filename == "scene_frame0002.png"
    download.value.save_as(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_failed_screenshot_is_reported_until_the_next_one(viewer):
    page = viewer.page
    viewer.run("player.metadata = async () => { throw new Error('No metadata.'); }")
    save = page.get_by_role("button", name="Save screenshot as PNG")
    save.click()
    alert = page.get_by_role("alert")
    alert.get_by_text("No metadata.").wait_for()
    viewer.run("player.metadata = async () => ({})")
    with page.expect_download():
        save.click()
    assert not alert.is_visible()


def test_full_screen_button_toggles(viewer):
    button = viewer.page.get_by_role("button", name="Full screen")
    button.click()
    viewer.page.wait_for_function("document.fullscreenElement === players[0].element")
    button.click()
    viewer.page.wait_for_function("document.fullscreenElement === null")


def test_every_control_has_an_accessible_name(viewer):
    unnamed = viewer.run(
        "const controls = player.element.shadowRoot.querySelectorAll('button, input, select, canvas');"
        "return [...controls].filter((control) => !control.getAttribute('aria-label')).length"
    )
    assert unnamed == 0
    assert viewer.page.get_by_role("group", name="4D viewer: scene").count() == 1


def test_accessible_names_contain_the_visible_text(viewer):
    """Users of speech input say what they see."""
    viewer.page.get_by_role("button", name="Download", exact=True).click()
    wrong = viewer.run(
        "const root = player.element.shadowRoot;"
        "const buttons = [...root.querySelectorAll('button')];"
        "const labels = [...root.querySelectorAll('label')].map((label) => label.querySelector('input'));"
        "const textOf = (control) => (control.closest('label') ?? control).textContent.replace('…', '');"
        "const nameOf = (control) => control.getAttribute('aria-label');"
        "return [...buttons, ...labels].filter("
        "  (control) => !nameOf(control).toLowerCase().includes(textOf(control).toLowerCase())"
        ").map(nameOf)"
    )
    assert wrong == []


def test_set_view_round_trips_and_fires_no_change_event(viewer):
    count_changes(viewer)
    expected = {
        "version": 1, "azimuth": -30.5, "elevation": 12, "radius": 1.25, "target": [0.1, 0.2, 0.3],
        "fovy": 35, "time": 0.6,
    }  # fmt: skip
    viewer.run("player.setView(value)", expected)
    found = view(viewer)
    assert {**found, "time": round(found["time"], 9)} == expected
    viewer.run("player.setView({ azimuth: 10 })")
    assert {**view(viewer), "azimuth": -30.5, "time": 0.6} == expected
    assert changes(viewer) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "view: version 2; expected 1"),
        ({"radius": None}, "view: radius is null; expected a finite number"),
        ({"target": [0, "x", 0]}, r"view: target\[1\] is x"),
        ({"time": "noon"}, "view: time is noon"),
    ],
)
def test_invalid_view_is_rejected_and_leaves_the_view_unchanged(viewer, change, message):
    before = view(viewer)
    with pytest.raises(Exception, match=message):
        viewer.run("player.setView(value)", change)
    assert view(viewer) == before


def test_view_set_before_loading_is_kept(page, box_s4d):
    viewer = Viewer(page, page.evaluate("add(400, 300)"))
    viewer.set_view(azimuth=77, time=0.5)
    viewer.run("await player.load(bytes(value))", box_s4d)
    assert (view(viewer)["azimuth"], view(viewer)["time"]) == (77, 0.5)
    viewer.run("await player.load(bytes(value))", box_s4d)
    assert (view(viewer)["azimuth"], view(viewer)["time"]) == (77, 0.5)


def test_last_of_several_concurrent_loads_is_shown(viewer, box, box_s4d):
    still = GaussianModel4D(box.gaussians, None, SceneInfo(num_frames=1))
    viewer.load(still)
    viewer.page.get_by_text("one frame").wait_for()
    assert not viewer.page.get_by_role("slider", name="Time").is_visible()
    viewer.run("const first = player.load(bytes(value)); player.load(bytes(value)); await first", box_s4d)
    viewer.page.get_by_text("1 / 5 · 0.00 s").wait_for()


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda s4d: b"PK\x03\x04" + s4d, "This file is not an .s4d file."),
        (lambda s4d: s4d[:-20], "This .s4d file is damaged"),
        (lambda s4d: s4d + b"\0", "This .s4d file is damaged"),
        (
            lambda s4d: s4d.replace(b'"num_gaussians": 1176', b'"num_gaussians": 9e99'),
            "This .s4d file is damaged",
        ),
    ],
)
def test_refused_file_is_reported_and_the_next_file_is_shown(viewer, box_s4d, damage, error):
    bad = base64.b64encode(damage(base64.b64decode(box_s4d))).decode()
    message = viewer.run("return player.load(bytes(value)).then(() => '', (error) => `${error}`)", bad)
    assert message.startswith(f"ViewerError: {error}")
    status = viewer.page.get_by_role("status")
    assert status.is_visible()
    assert status.text_content().startswith(error)
    assert viewer.run("return player.header") is None
    viewer.run("await player.load(bytes(value))", box_s4d)
    assert not status.is_visible()
    assert viewer.screenshot()[..., 3].max() > 200


def test_controls_fit_into_narrow_players(viewer):
    for width in (260, 320, 460, 900):
        viewer.set_canvas_size(width, 200)
        outside = viewer.run(
            "const box = player.element.getBoundingClientRect();"
            "const { shadowRoot } = player.element;"
            "const controls = [...shadowRoot.querySelectorAll('button, select, input, .reading')];"
            "return controls.filter((control) => control.offsetParent).map((control) => {"
            "  const { left, right } = control.getBoundingClientRect();"
            "  return left < box.left - 0.5 || right > box.right + 0.5 ? control.title : null;"
            "}).filter((title) => title !== null)"
        )
        assert outside == [], width


def test_controls_take_two_lines_in_a_new_node_of_comfyui(viewer):
    viewer.set_canvas_size(438, 400)  # the widget's width
    assert viewer.run("return player.element.shadowRoot.querySelector('.dock').offsetHeight") < 70
