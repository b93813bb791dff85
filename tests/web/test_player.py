"""What users and programs do with a player: gestures, keys, buttons, views, files that cannot be shown."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest
from viewer_page import Viewer, open_page

from stag4d.scene import GaussianModel4D, SceneInfo

pytestmark = pytest.mark.browser


def watch_changes(viewer: Viewer) -> None:
    """Count the player's change events."""
    viewer.run("window.changes = 0; player.addEventListener('change', () => { window.changes += 1; })")


def changes(viewer: Viewer) -> int:
    return viewer.page.evaluate("window.changes")


def view(viewer: Viewer) -> dict:
    return viewer.run("return player.getView()")


def drag(viewer: Viewer, right: int, down: int, button: str = "left") -> None:
    """Drag from the picture's middle."""
    box = viewer.page.locator("canvas").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    viewer.page.mouse.move(x, y)
    viewer.page.mouse.down(button=button)
    viewer.page.mouse.move(x + right, y + down, steps=4)
    viewer.page.mouse.up(button=button)


def test_a_clip_is_first_seen_from_the_input_camera_at_its_beginning(viewer):
    assert view(viewer) == {
        "version": 1, "azimuth": 0, "elevation": 0, "radius": 2, "target": [0, 0, 0], "fovy": 49.1, "time": 0,
    }  # fmt: skip
    assert viewer.picture()[..., 3].max() > 200
    viewer.page.get_by_text("1,176 splats").wait_for()
    viewer.page.get_by_text("1 / 5 · 0.00 s").wait_for()


def test_dragging_orbits_and_tells_one_change(viewer):
    watch_changes(viewer)
    before = viewer.canvas()
    drag(viewer, 60, 30)
    found = view(viewer)
    assert found["azimuth"] < -20  # what is dragged to the right comes from the left
    assert found["elevation"] > 10
    assert found["target"] == [0, 0, 0]
    assert changes(viewer) == 1
    viewer.page.evaluate("settled()")
    assert not np.array_equal(viewer.canvas(), before)


@pytest.mark.parametrize("button", ["right", "Shift"])
def test_the_right_button_or_shift_moves(viewer, button):
    if button == "Shift":
        viewer.page.keyboard.down("Shift")
    drag(viewer, 50, 0, button="right" if button == "right" else "left")
    viewer.page.keyboard.up("Shift")
    found = view(viewer)
    assert found["target"][0] < -0.1
    assert found["azimuth"] == 0


def test_the_wheel_zooms_once_the_viewer_has_focus(viewer):
    viewer.page.mouse.move(200, 100)
    viewer.page.mouse.wheel(0, 300)
    viewer.page.evaluate("settled()")
    assert view(viewer)["radius"] == 2
    viewer.page.mouse.down()
    viewer.page.mouse.up()
    watch_changes(viewer)
    viewer.page.mouse.wheel(0, 300)
    viewer.page.wait_for_function("players[0].getView().radius > 2.5")
    viewer.page.mouse.wheel(0, -600)
    viewer.page.wait_for_function("players[0].getView().radius < 1.6")
    assert changes(viewer) == 2


def test_one_finger_orbits_and_two_move_and_zoom(browser, box_clip):
    with open_page(browser, has_touch=True) as page:
        viewer = Viewer(page, page.evaluate("(clip) => add(480, 360, clip)", box_clip))
        session = page.context.new_cdp_session(page)

        def touch(kind: str, *points: tuple[int, int]) -> None:
            touches = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

        touch("touchStart", (200, 150))
        touch("touchMove", (260, 150))
        touch("touchEnd")
        assert view(viewer)["azimuth"] < -20
        assert view(viewer)["radius"] == 2
        turned = view(viewer)
        touch("touchStart", (150, 150), (250, 150))
        touch("touchMove", (100, 150), (300, 150))
        touch("touchEnd")
        assert view(viewer)["radius"] == pytest.approx(1)
        assert view(viewer)["azimuth"] == turned["azimuth"]


def test_keys_orbit_step_play_choose_and_fit(viewer):
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


def test_keys_do_not_reach_the_page_around_the_viewer_unless_they_are_its_own(viewer):
    viewer.page.evaluate("window.keys = []; addEventListener('keydown', (event) => keys.push(event.key))")
    viewer.page.locator("canvas").focus()
    for key in (" ", "ArrowLeft", "f", "3", "Control+z", "Delete"):
        viewer.page.keyboard.press(key)
    assert viewer.page.evaluate("keys") == ["Control", "z", "Delete"]


def test_space_on_a_button_presses_that_button(viewer):
    viewer.page.get_by_role("button", name="White background").focus()
    viewer.page.keyboard.press(" ")
    assert viewer.run("return [player.background, player.clock.isPlaying]") == ["white", False]


def test_playing_goes_on_and_around_and_pausing_stops(viewer):
    page = viewer.page
    watch_changes(viewer)
    page.get_by_role("button", name="Play (space)").click()
    page.wait_for_function("players[0].clock.position > 2")
    page.wait_for_function("players[0].clock.position < 1")
    assert changes(viewer) == 0
    page.get_by_role("button", name="Pause (space)").click()
    assert changes(viewer) == 1
    stopped = view(viewer)["time"]
    page.evaluate("settled()")
    assert view(viewer)["time"] == stopped


def test_scrubbing_speed_and_ping_pong(viewer):
    page = viewer.page
    watch_changes(viewer)
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


def test_camera_buttons_say_where_they_look_from_and_which_is_chosen(viewer):
    page = viewer.page
    watch_changes(viewer)
    page.get_by_role("button", name="View 3: azimuth 150°, elevation 30°").click()
    assert (view(viewer)["azimuth"], view(viewer)["elevation"]) == (150, 30)
    page.evaluate("settled()")  # the bar follows with the next picture
    pressed = page.get_by_role("group", name="Cameras").get_by_role("button", pressed=True)
    assert pressed.all_text_contents() == ["3"]
    page.get_by_role("button", name="The input camera (0)").click()
    assert view(viewer)["azimuth"] == 0
    assert changes(viewer) == 2
    page.get_by_role("button", name="Fit to view (F)").click()
    viewer.page.evaluate("settled()")
    assert pressed.count() == 0


def test_fit_shows_the_whole_object_and_little_more(viewer):
    viewer.look(azimuth=40, elevation=20, radius=9, target=[2, 0, 0])
    viewer.page.get_by_role("button", name="Fit to view (F)").click()
    rows, columns = np.nonzero(viewer.picture()[..., 3] > 128)
    height, width = viewer.picture().shape[:2]
    assert 0 < rows.min() < rows.max() < height - 1
    assert 0 < columns.min() < columns.max() < width - 1
    assert rows.max() - rows.min() > 0.6 * height


def test_backgrounds(viewer):
    for name, corner in (
        ("White", [255, 255, 255, 255]),
        ("Black", [0, 0, 0, 255]),
        ("Checkered", [0, 0, 0, 0]),
    ):
        viewer.page.get_by_role("button", name=re.compile(f"^{name} *background")).click()
        assert viewer.picture()[0, 0].tolist() == corner
    viewer.run(
        "const input = player.element.shadowRoot.querySelector('input[type=color]'); input.value = '#204060';"
        "input.dispatchEvent(new Event('input'))"
    )
    assert viewer.picture()[0, 0].tolist() == [0x20, 0x40, 0x60, 255]
    with pytest.raises(Exception, match="background: red; expected checker, white, black or #rrggbb"):
        viewer.run("player.setBackground('red')")


def test_a_screenshot_is_a_png_named_for_its_frame(viewer, tmp_path):
    viewer.look(time=0.5)
    with viewer.page.expect_download() as download:
        viewer.page.get_by_role("button", name="Save this picture as PNG").click()
    assert download.value.suggested_filename == "scene_frame0002.png"
    download.value.save_as(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_full_screen_and_back(viewer):
    button = viewer.page.get_by_role("button", name="Full screen")
    button.click()
    viewer.page.wait_for_function("document.fullscreenElement === players[0].element")
    button.click()
    viewer.page.wait_for_function("document.fullscreenElement === null")


def test_every_control_has_a_name(viewer):
    unnamed = viewer.run(
        "const controls = player.element.shadowRoot.querySelectorAll('button, input, select, canvas');"
        "return [...controls].filter((control) => !control.getAttribute('aria-label')).length"
    )
    assert unnamed == 0
    assert viewer.page.get_by_role("group", name="4D viewer: scene").count() == 1


def test_a_view_comes_back_as_it_was_and_tells_nothing(viewer):
    watch_changes(viewer)
    wanted = {
        "version": 1, "azimuth": -30.5, "elevation": 12, "radius": 1.25, "target": [0.1, 0.2, 0.3],
        "fovy": 35, "time": 0.6,
    }  # fmt: skip
    viewer.run("player.setView(value)", wanted)
    found = view(viewer)
    assert {**found, "time": round(found["time"], 9)} == wanted
    viewer.run("player.setView({ azimuth: 10 })")
    assert {**view(viewer), "azimuth": -30.5, "time": 0.6} == wanted
    assert changes(viewer) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, "view: version 2; expected 1"),
        ({"radius": None}, "view: radius is null; expected a finite number"),
        ({"target": [0, "x", 0]}, r"view: target\[1\] is x"),
        ({"time": "noon"}, "view: time is noon"),
    ],
)
def test_a_view_that_is_none_is_refused_and_changes_nothing(viewer, change, words):
    before = view(viewer)
    with pytest.raises(Exception, match=words):
        viewer.run("player.setView(value)", change)
    assert view(viewer) == before


def test_a_view_that_was_set_before_the_clip_came_is_kept(page, box_clip):
    viewer = Viewer(page, page.evaluate("add(400, 300)"))
    viewer.look(azimuth=77, time=0.5)
    viewer.run("await player.load(bytes(value))", box_clip)
    assert (view(viewer)["azimuth"], view(viewer)["time"]) == (77, 0.5)
    viewer.run("await player.load(bytes(value))", box_clip)
    assert (view(viewer)["azimuth"], view(viewer)["time"]) == (77, 0.5)


def test_of_several_clips_at_once_the_last_is_shown(viewer, box, box_clip):
    still = GaussianModel4D(box.gaussians, None, SceneInfo(num_frames=1))
    viewer.load(still)
    viewer.page.get_by_text("one frame").wait_for()
    assert not viewer.page.get_by_role("slider", name="Time").is_visible()
    viewer.run("const first = player.load(bytes(value)); player.load(bytes(value)); await first", box_clip)
    viewer.page.get_by_text("1 / 5 · 0.00 s").wait_for()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda clip: b"PK\x03\x04" + clip, "This file is not a STAG4D clip."),
        (lambda clip: clip[:-20], "This clip is damaged"),
        (lambda clip: clip + b"\0", "This clip is damaged"),
        (
            lambda clip: clip.replace(b'"num_gaussians": 1176', b'"num_gaussians": 9e99'),
            "This clip is damaged",
        ),
    ],
)
def test_a_file_that_cannot_be_shown_is_explained_and_the_next_one_shows(viewer, box_clip, damage, words):
    bad = base64.b64encode(damage(base64.b64decode(box_clip))).decode()
    message = viewer.run("return player.load(bytes(value)).then(() => '', (error) => `${error}`)", bad)
    assert message.startswith(f"ClipError: {words}")
    status = viewer.page.get_by_role("status")
    assert status.is_visible()
    assert status.text_content().startswith(words)
    assert viewer.run("return player.header") is None
    viewer.run("await player.load(bytes(value))", box_clip)
    assert not status.is_visible()
    assert viewer.picture()[..., 3].max() > 200


def test_controls_fit_into_a_narrow_node(viewer):
    for width in (260, 320, 460, 900):
        viewer.set_picture_size(width, 200)
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
