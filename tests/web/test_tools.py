"""The player's loop range, keyboard help, downloads and comparison of two scenes."""

from __future__ import annotations

import base64
from dataclasses import replace

import numpy as np
import pytest
from seed_files import random_gaussians, scene_of
from viewer_page import Viewer

from stag4d.export import encode_ply, encode_s4d, read_ply
from stag4d.export.s4d import read_s4d_scene
from stag4d.scene import GaussianModel4D, SceneInfo, pad_frames

pytestmark = pytest.mark.browser


def focus(viewer: Viewer) -> None:
    """Focus the canvas, so that keys reach the viewer."""
    viewer.page.locator("canvas").focus()


def loop_range(viewer: Viewer) -> list[int]:
    """Return the first and the last frame of the loop range."""
    return viewer.run("return player.clock.range")


def test_keys_set_the_loop_range_at_the_current_frame_and_clear_it(viewer):
    focus(viewer)
    for key in (".", "i", ".", ".", "o"):
        viewer.page.keyboard.press(key)
    assert loop_range(viewer) == [1, 3]
    viewer.set_view(time=0)
    viewer.page.keyboard.press("o")  # before the start, which moves there, too
    assert loop_range(viewer) == [0, 0]
    viewer.page.keyboard.press("x")
    assert loop_range(viewer) == [0, 4]


def test_playback_repeats_the_loop_range(viewer_with_manual_clock):
    viewer = viewer_with_manual_clock  # five frames, ten a second
    viewer.run("player.viewport.setLoopRange(1, 2)")
    viewer.page.get_by_role("button", name="Play (space)").click()
    seen = set()
    for _ in range(16):
        viewer.advance(50)
        seen.add(viewer.run("return player.clock.frame"))
    assert seen == {1, 2}


def test_loop_range_is_shown_and_set_in_the_settings(viewer):
    page = viewer.page
    page.get_by_role("button", name="Settings").click()
    first = page.get_by_role("spinbutton", name="First frame of the loop")
    last = page.get_by_role("spinbutton", name="Last frame of the loop")
    assert (first.input_value(), last.input_value()) == ("1", "5")
    first.fill("2")
    first.press("Tab")
    last.fill("4")
    last.press("Tab")
    assert loop_range(viewer) == [1, 3]
    page.get_by_role("button", name="Loop over all frames (X)").click()
    assert loop_range(viewer) == [0, 4]
    viewer.wait_for_render()
    assert (first.input_value(), last.input_value()) == ("1", "5")
    page.evaluate("window.keys = []; addEventListener('keydown', (event) => keys.push(event.key))")
    first.press("Delete")  # in ComfyUI it would delete the node
    assert page.evaluate("keys") == []


def test_loop_range_survives_another_file_of_as_many_frames_only(viewer, box, box_s4d):
    viewer.run("player.viewport.setLoopRange(1, 2); await player.load(bytes(value))", box_s4d)
    assert loop_range(viewer) == [1, 2]
    viewer.load(GaussianModel4D(box.gaussians, None, SceneInfo(num_frames=1)))
    assert loop_range(viewer) == [0, 0]


def test_question_mark_shows_the_shortcuts_and_gives_the_focus_back(viewer):
    focus(viewer)
    help_dialog = viewer.page.get_by_role("dialog", name="Keyboard, mouse and touch")
    assert not help_dialog.is_visible()
    viewer.page.keyboard.press("?")
    help_dialog.get_by_text("ground grid and axes").wait_for()
    assert viewer.run("return player.element.shadowRoot.activeElement.title") == "Close"
    viewer.page.keyboard.press("Escape")
    assert not help_dialog.is_visible()
    assert viewer.run("return player.element.shadowRoot.activeElement === canvasOf(player)")
    viewer.page.get_by_role("button", name="Settings").click()
    viewer.page.get_by_role("button", name="Keyboard shortcuts (?)").click()
    assert help_dialog.is_visible()
    viewer.page.keyboard.press("?")
    assert not help_dialog.is_visible()
    assert viewer.run("return player.element.shadowRoot.activeElement.title") == "Settings"


def test_help_opened_in_a_panel_gives_the_focus_back_to_the_viewer(viewer):
    viewer.page.get_by_role("button", name="Settings").click()
    for _ in range(2):  # the second time from the viewer itself
        for key in ("?", "Escape", "."):
            viewer.page.keyboard.press(key)
            viewer.wait_for_render()  # the browser takes the focus from what is hidden
    assert viewer.run("return player.clock.frame") == 2


def test_keys_in_help_and_panels_scroll_them_and_do_not_reach_the_camera_or_the_page(viewer):
    page = viewer.page
    viewer.set_canvas_size(300, 150)
    page.evaluate("window.keys = []; addEventListener('keydown', (event) => keys.push(event.key))")
    before = viewer.run("return player.getView()")
    focus(viewer)
    page.keyboard.press("?")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("players[0].viewport.help.element.scrollTop > 0", timeout=10_000)
    page.keyboard.press("Home")
    page.wait_for_function("players[0].viewport.help.element.scrollTop === 0", timeout=10_000)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Settings").click()
    for key in ("ArrowDown", "Home", "Delete", "g"):
        page.keyboard.press(key)
    assert viewer.run("return player.getView()") == before
    assert not viewer.run("return player.viewport.display.hasGrid")
    assert page.evaluate("keys") == []


def download(viewer: Viewer, label: str, path) -> str:
    """Choose an entry of the download menu, save the file and return the name that it suggests."""
    viewer.page.get_by_role("button", name="Download", exact=True).click()
    with viewer.page.expect_download() as download:
        viewer.page.get_by_role("dialog", name="Download").get_by_role(
            "button", name=label, exact=True
        ).click()
    assert not viewer.page.get_by_role("dialog", name="Download").is_visible()
    assert viewer.run("return player.element.shadowRoot.activeElement.title") == "Download"
    download.value.save_as(path)
    return download.value.suggested_filename


@pytest.mark.parametrize("time", [0.0, 0.75])
def test_downloaded_ply_is_the_frame_that_python_writes(viewer, box_s4d, tmp_path, time):
    viewer.set_view(time=time)
    name = download(viewer, "PLY of this frame", tmp_path / "viewer.ply")
    assert name == f"scene_frame{round(4 * time):04d}.ply"
    (tmp_path / "box.s4d").write_bytes(base64.b64decode(box_s4d))
    frames = scene_of(read_s4d_scene(tmp_path / "box.s4d").frames)
    expected = encode_ply(frames.at(frames.frame_times[[round(4 * time)]])[0])
    written = (tmp_path / "viewer.ply").read_bytes()
    header = expected[: expected.index(b"end_header\n") + 11]
    assert written.startswith(header)
    rows = [np.frombuffer(content[len(header) :], "<f4").reshape(-1, 17) for content in (written, expected)]
    np.testing.assert_allclose(rows[0], rows[1], atol=2e-5)
    assert len(read_ply(tmp_path / "viewer.ply").means) == 1176


def test_downloaded_ply_of_unrelated_frames_has_no_padding(viewer, tmp_path):
    frames = pad_frames([random_gaussians(count, seed) for seed, count in enumerate((6, 2, 9))])
    viewer.load(scene_of(frames))
    viewer.set_view(time=0.5)
    download(viewer, "PLY of this frame", tmp_path / "viewer.ply")
    assert len(read_ply(tmp_path / "viewer.ply").means) == 2


def test_downloaded_s4d_file_is_the_one_that_was_loaded(viewer, box_s4d, tmp_path):
    assert download(viewer, "Scene (.s4d)", tmp_path / "scene.s4d") == "scene.s4d"
    assert (tmp_path / "scene.s4d").read_bytes() == base64.b64decode(box_s4d)
    assert viewer.page.get_by_role("dialog", name="Download").get_by_text("Page").count() == 0


@pytest.fixture
def compared(viewer, box) -> Viewer:
    """The viewer, in which the box is compared with one of inverted colors."""
    gaussians = replace(box.gaussians, sh0=-box.gaussians.sh0)
    other = encode_s4d(GaussianModel4D(gaussians, box.deformation, box.info))
    viewer.run("await player.viewport.loadSecond(bytes(value))", base64.b64encode(other).decode())
    viewer.run("player.setBackground('black')")
    return viewer


def images_of(viewer: Viewer) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of scenes A and B."""
    images = []
    for shown in ("a", "b"):
        viewer.run("player.viewport.showScene(value)", shown)
        images.append(viewer.screenshot())
    return images[0], images[1]


def test_wipe_shows_scene_a_at_the_left_and_scene_b_at_the_right(compared):
    assert compared.run("return player.viewport.comparison.shown") == "wipe"
    wiped = compared.screenshot()
    a, b = images_of(compared)
    assert np.abs(a.astype(int) - b).max() > 100
    half = a.shape[1] // 2
    assert np.abs(wiped[:, : half - 1].astype(int) - a[:, : half - 1]).max() <= 1
    assert np.abs(wiped[:, half + 1 :].astype(int) - b[:, half + 1 :]).max() <= 1


def test_keys_switch_scenes_and_show_the_wipe(compared):
    focus(compared)
    shown = []
    for key in ("b", "b", "w", "w"):
        compared.page.keyboard.press(key)
        shown.append(compared.run("return player.viewport.comparison.shown"))
    assert shown == ["b", "a", "wipe", "a"]
    names = compared.page.get_by_role("group", name="Comparison").locator("span")
    assert [names.nth(index).is_visible() for index in (0, 1)] == [True, False]


def test_divider_is_moved_by_dragging_and_by_arrow_keys(compared):
    page = compared.page
    before = compared.run("return player.getView()")
    divider = page.get_by_role("slider", name="Wipe between A and B")
    box = divider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(120, box["y"] + 60, steps=3)
    page.mouse.up()
    assert compared.run("return player.viewport.comparison.wipe") == pytest.approx(120 / 480, abs=0.01)
    divider.press("ArrowRight")
    assert divider.get_attribute("aria-valuenow") == "30"
    assert compared.run("return player.getView()") == before


def test_grid_and_depth_range_are_those_of_scene_a(viewer, box):
    gaussians = replace(box.gaussians, means=box.gaussians.means + 0.5)
    other = encode_s4d(GaussianModel4D(gaussians, box.deformation, box.info))
    viewer.run("player.viewport.setDisplay({ mode: 'depth', hasGrid: true }); player.setBackground('black')")
    viewer.run("await player.viewport.loadSecond(bytes(value))", base64.b64encode(other).decode())
    images = []
    for wipe, shown in ((0, "wipe"), (0.5, "b")):
        viewer.run("player.viewport.comparison.wipe = value", wipe)
        viewer.run("player.viewport.showScene(value)", shown)
        viewer.wait_for_render()
        images.append(viewer.canvas().astype(int))
    assert np.abs(images[0] - images[1]).max() <= 1


def test_downloads_name_scene_a_while_two_scenes_are_compared(compared, tmp_path):
    compared.run("player.viewport.showScene('b')")
    download(compared, "PLY of this frame of scene A", tmp_path / "a.ply")
    menu = compared.page.get_by_role("dialog", name="Download")
    compared.page.get_by_role("button", name="Download", exact=True).click()
    assert menu.get_by_role("button", name="MP4 video", exact=True).is_visible()  # of what is shown
    compared.page.keyboard.press("Escape")
    compared.run("player.viewport.setSecond(null)")
    download(compared, "PLY of this frame", tmp_path / "a.ply")


def test_divider_and_names_are_hidden_while_a_message_is_shown(compared):
    parts = compared.page.locator(".divider, .comparison span")
    assert [parts.nth(index).is_visible() for index in range(3)] == [True] * 3
    compared.run("player.showMessage('No scene.')")
    assert [parts.nth(index).is_visible() for index in range(3)] == [False] * 3


def test_other_input_on_the_divider_is_for_the_camera_and_the_page(compared):
    page = compared.page
    compared.run("player.setView({ radius: 3 })")
    page.evaluate(
        "window.buttons = []; addEventListener('pointerdown', (event) => buttons.push(event.button))"
    )
    box = page.get_by_role("slider", name="Wipe between A and B").bounding_box()
    for button in ("middle", "right"):  # ComfyUI pans its graph with the middle button
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
        page.mouse.down(button=button)
        page.mouse.move(120, box["y"] + 60)
        page.mouse.up(button=button)
    assert page.evaluate("buttons") == [1, 2]
    assert compared.run("return player.viewport.comparison.wipe") == 0.5
    focus(compared)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    page.mouse.wheel(0, 100)
    page.wait_for_function("players[0].getView().radius > 3", timeout=10_000)
    page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + 60)
    assert compared.run("return player.getView().radius") == 2


def test_second_scene_is_shown_at_the_same_frame_time(viewer, box):
    longer = GaussianModel4D(box.gaussians, box.deformation, replace(box.info, num_frames=9))
    viewer.set_view(time=0.75)
    expected = viewer.screenshot()
    viewer.run(
        "await player.viewport.loadSecond(bytes(value))", base64.b64encode(encode_s4d(longer)).decode()
    )
    viewer.run("player.viewport.showScene('b')")
    assert np.abs(viewer.screenshot().astype(int) - expected).mean() < 1


def test_last_of_several_concurrent_choices_of_scene_b_is_shown(viewer, box, box_s4d):
    still = encode_s4d(GaussianModel4D(box.gaussians, None, SceneInfo(num_frames=1)))
    files = [box_s4d, base64.b64encode(still).decode()]
    viewer.run(
        # the first file is read slowly, also as a file of the settings panel
        "const [slow, fast] = value.map(bytes); const { viewport } = player; let read;"
        "const file = new Blob([slow]); file.arrayBuffer = () => new Promise((done) => (read = done));"
        "const loading = viewport.loadSecond(file);"
        "await viewport.loadSecond(fast); read(slow.buffer); await loading;",
        files,
    )
    assert viewer.run("return player.viewport.comparison.second.file.header.numFrames") == 1
    viewer.run(
        "const loading = player.viewport.loadSecond(bytes(value)); player.viewport.setSecond(null);"
        "await loading",
        box_s4d,
    )
    assert viewer.run("return player.viewport.comparison.second") is None


def test_second_scene_is_chosen_and_removed_in_the_settings(viewer, box_s4d, tmp_path):
    page = viewer.page
    (tmp_path / "b.s4d").write_bytes(base64.b64decode(box_s4d))
    (tmp_path / "bad.s4d").write_bytes(b"nothing")
    page.get_by_role("button", name="Settings").click()
    choose = page.get_by_role("button", name="Choose an .s4d file to compare with")
    for name in ("bad.s4d", "b.s4d"):
        with page.expect_file_chooser() as chooser:
            choose.click()
        chooser.value.set_files(tmp_path / name)
        if name == "bad.s4d":
            page.get_by_role("alert").get_by_text("This file is not an .s4d file.").wait_for()
            assert viewer.run("return player.header.numGaussians") == 1176  # scene A is still shown
    shown = page.get_by_role("combobox", name="Shown scene")
    shown.select_option("B")
    assert viewer.run("return player.viewport.comparison.shown") == "b"
    page.get_by_role("button", name="Remove scene B").click()
    shown.wait_for(state="hidden")
    assert viewer.run("return player.viewport.comparison.second") is None
