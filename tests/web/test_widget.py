"""The widget of STAG4D Preview on a page that imitates ComfyUI's: one node, and `.s4d` files to show."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from chromium import TIMEOUT_MS
from counted_gl import COUNT_GL, LOSE_CONTEXT, RESTORE_CONTEXT
from viewer_page import use_manual_clock

from stag4d.export import encode_s4d
from stag4d.geometry import OrbitPose
from stag4d.scene import GaussianModel4D

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.browser

SITE = "http://localhost"
WEB = Path(__file__).parents[2] / "web"
SCRIPTS = {
    "scripts/api.js": "export const api = Object.assign(new EventTarget(), { fetchApi(url, options) { "
    "window.requests.push(url); return fetch(url, options); } });",
    "scripts/app.js": "export const app = { extensionManager: { workflow: {} }, rootGraph: null, "
    "registerExtension(extension) { window.extension = extension; } };",
}
PAGE = """<!doctype html>
<html lang="en"><title>test</title><body><script type="module">
import { api } from "/scripts/api.js";
import { app } from "/scripts/app.js";
import "/extensions/pack/js/stag4d.js";
const graph = {
  id: "one", isRootGraph: true, nodes: [],
  change() {},
  getNodeById: () => graph.nodes[0],
  serialize: () => ({ nodes: [], links: [] }),
};
app.rootGraph = graph.rootGraph = graph;
function add() {
  const node = {
    id: 7, properties: {}, widgets: [], graph,
    addDOMWidget(name, type, element, { getValue, setValue }) {
      element.style.cssText += "; width: 400px; height: 500px";
      const widget = {
        name, element,
        get value() { return getValue(); },
        set value(text) { setValue(text); },
      };
      this.widgets.push(widget);
      return widget;
    },
  };
  extension.getCustomWidgets().STAG4D_VIEW(node, "view");
  graph.nodes.push(node);
  node.onAdded();
  document.body.replaceChildren(node.widgets[0].element);
  window.node = node;
}
function remove() {
  graph.nodes.pop();
  node.onRemoved();
}
extension.setup();
Object.assign(window, {
  add,
  remove,
  requests: [],
  LiteGraph: {},
  executed: (filename, second) => node.onExecuted({
    stag4d_clip: [{ filename }],
    ...(second && { stag4d_clip_b: [{ filename: second }] }),
  }),
  growing: (detail) => api.dispatchEvent(new CustomEvent("stag4d.live_preview", { detail })),
});
add();
</script></body></html>"""


FRONT, ABOVE = (
    "a" * 32 + ".s4d",
    "b" * 32 + ".s4d",
)  # .s4d files; the input camera is in front, or 25 degrees above
NUM_SPLATS = {FRONT: 1176, ABOVE: 1175}


@dataclass(frozen=True)
class Widget:
    """The widget on its page.

    Attributes:
        page: The page; time stands still on it except in ``advance``.
    """

    page: Page

    def show(self, name: str) -> None:
        """Let the node output a file, and wait until the player shows it."""
        self.page.evaluate("(name) => executed(name)", name)
        self.page.get_by_text(f"{NUM_SPLATS[name]:,} splats").wait_for()

    def requests_preview(self, name: str, **detail: Any) -> bool:
        """Send a live preview of a fit to the page, and return whether the widget requests its file."""
        self.page.evaluate("(detail) => growing(detail)", {"filename": name, **detail})
        return self.page.evaluate("requests.at(-1)").count(name) == 1

    def advance(self, milliseconds: int) -> None:
        """Move the page's clock forward; its timers and animation frames run at every 16 ms of it."""
        self.page.clock.run_for(milliseconds)

    def play(self, milliseconds: int) -> None:
        """Start playback at ten frames a second and let it run for some time."""
        self.page.get_by_role("button", name="Play (space)").click()
        self.advance(milliseconds)

    def view(self) -> dict[str, Any] | None:
        """Return the node's value."""
        text = self.page.evaluate("node.widgets[0].value")
        return json.loads(text) if text else None

    def selected_cameras(self) -> list[str]:
        """Return the texts of the camera buttons that are pressed; the input camera's button has none."""
        self.advance(20)  # the controls are updated with the next frame
        group = self.page.get_by_role("group", name="Cameras")
        return group.get_by_role("button", pressed=True).all_text_contents()

    def drag(self) -> None:
        """Orbit by dragging 40 pixels to the right."""
        box = self.page.locator("canvas").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + 40, y, steps=4)
        self.page.mouse.up()


@contextmanager
def open_widget(browser: Browser, files: dict[str, bytes], *, has_viewer: bool = True) -> Iterator[Widget]:
    """Yield the widget on a page that serves ``files`` and, unless ``has_viewer`` is false, the viewer."""

    def serve(route: Route) -> None:
        url = urllib.parse.urlparse(route.request.url)
        path = url.path.removeprefix("/")
        if path == "view":
            (name,) = urllib.parse.parse_qs(url.query)["filename"]
            route.fulfill(body=files[name])
        elif path in SCRIPTS:
            route.fulfill(body=SCRIPTS[path], content_type="text/javascript")
        elif path.startswith("extensions/pack/"):
            name = path.removeprefix("extensions/pack/")
            if has_viewer or not name.startswith("viewer/"):
                route.fulfill(path=WEB / name, content_type="text/javascript")
            else:
                route.fulfill(status=404)
        else:
            route.fulfill(body=PAGE, content_type="text/html", status=404 if path else 200)

    context = browser.new_context()
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script(f"({COUNT_GL})()")
    page.route(f"{SITE}/**", serve)
    use_manual_clock(page)
    page.goto(f"{SITE}/")
    yield Widget(page)
    context.close()
    assert errors == []


@pytest.fixture(scope="module")
def files(box: GaussianModel4D) -> dict[str, bytes]:
    """The box with its input camera in front; and, without its last splat, 25 degrees above."""
    fewer = box.gaussians.map(lambda value: value[: NUM_SPLATS[ABOVE]])
    pose = OrbitPose(azimuth_deg=0, elevation_deg=25)
    above = GaussianModel4D(fewer, box.deformation, replace(box.info, input_pose=pose))
    return {FRONT: encode_s4d(box), ABOVE: encode_s4d(above)}


@pytest.fixture
def widget(browser: Browser, files: dict[str, bytes]) -> Iterator[Widget]:
    """The widget, which shows no file yet."""
    with open_widget(browser, files) as widget:
        widget.page.get_by_text("Run the workflow to see the scene.").wait_for()
        yield widget


def test_without_a_saved_view_every_file_is_shown_from_its_own_input_camera(widget):
    for name in (FRONT, ABOVE):  # what the node outputs while its value is empty
        widget.show(name)
        assert widget.view() is None
        assert widget.selected_cameras() == [""]
    widget.drag()
    orbited = widget.view()
    assert orbited["elevation"] == 25
    widget.show(FRONT)
    assert widget.view() == orbited
    assert widget.selected_cameras() == []


def test_pausing_saves_the_current_camera(widget):
    widget.show(ABOVE)
    widget.play(100)
    widget.page.get_by_role("button", name="Pause (space)").click()
    paused = widget.view()
    widget.show(FRONT)
    widget.drag()
    assert widget.view()["elevation"] == paused["elevation"] == 25


def test_orbit_during_playback_keeps_the_time_of_the_last_pause(widget):
    widget.show(FRONT)
    widget.page.get_by_role("slider", name="Time").fill("3")
    assert widget.view()["time"] == 0.75
    widget.play(330)  # from frame 3 in a loop of five to a time between frames 1 and 2
    widget.page.get_by_text("2 / 5").wait_for()
    widget.drag()
    assert widget.view()["azimuth"] != 0
    assert widget.view()["time"] == 0.75
    widget.page.keyboard.press(".")
    assert widget.view()["time"] == 0.5  # of frame 2


def test_orbit_during_the_first_playback_keeps_time_0(widget):
    widget.show(FRONT)
    widget.play(200)
    widget.page.get_by_text("3 / 5").wait_for()
    widget.drag()
    assert widget.view()["time"] == 0


@pytest.mark.parametrize(
    ("detail", "is_shown"),
    [
        ({"viewers": ["7"], "workflow": "one"}, True),
        ({"viewers": ["7"], "workflow": "another"}, False),
        ({"viewers": ["8"], "workflow": "one"}, False),
        ({"viewers": ["7"], "workflow": None}, True),  # as from a script
    ],
)
def test_live_preview_is_shown_only_by_its_node_in_its_workflow(widget, detail, is_shown):
    widget.show(FRONT)
    assert widget.requests_preview(ABOVE, **detail) == is_shown


def test_recreated_node_keeps_the_player_until_it_is_removed_for_good(widget):
    widget.show(FRONT)
    widget.drag()
    before, stored = widget.page.evaluate("({ ...glCounts })"), widget.page.evaluate("node.widgets[0].value")
    assert before["objects"] > 0
    widget.page.evaluate("() => { remove(); add(); }")  # as on undo, before any microtask
    assert widget.page.evaluate("node.widgets[0].value") == stored
    widget.page.get_by_text(f"{NUM_SPLATS[FRONT]:,} splats").wait_for()
    assert widget.page.evaluate("requests.length") == 1
    assert widget.page.evaluate("({ ...glCounts })") == before
    widget.page.evaluate("node.widgets[0].value = ''")  # as before the drag
    assert widget.selected_cameras() == [""]
    widget.page.evaluate("remove()")
    assert widget.page.evaluate("document.querySelector('.stag4d-viewer')") is None
    assert widget.page.evaluate("glCounts.objects") < before["objects"]


def test_live_preview_in_a_graph_without_an_id_is_matched_by_node_id(widget):
    widget.show(FRONT)
    widget.page.evaluate("delete node.graph.id")
    assert not widget.requests_preview(ABOVE, viewers=["8"], workflow="one")
    assert widget.requests_preview(ABOVE, viewers=["7"], workflow="one")


def test_viewer_that_fails_to_load_is_reported(browser, files):
    with open_widget(browser, files, has_viewer=False) as widget:
        widget.page.get_by_text("The viewer could not be loaded; reload the page.").wait_for()
        widget.page.evaluate("(name) => executed(name)")
        widget.page.evaluate("node.onAdded()")  # tries again
        widget.page.get_by_text("The viewer could not be loaded; reload the page.").wait_for()
        widget.page.evaluate("remove()")


def test_file_loaded_while_the_context_is_lost_is_shown_once_it_is_restored(widget):
    widget.page.evaluate(LOSE_CONTEXT)
    widget.show(FRONT)
    status = widget.page.get_by_role("status")
    status.get_by_text("graphics driver was reset").wait_for()
    widget.page.evaluate(RESTORE_CONTEXT)
    status.wait_for(state="hidden")


def test_second_file_of_the_output_is_compared_until_a_run_without_one(widget):
    page = widget.page
    page.evaluate("([a, b]) => executed(a, b)", [FRONT, ABOVE])
    page.get_by_text(f"{NUM_SPLATS[FRONT]:,} splats").wait_for()
    divider = page.get_by_role("slider", name="Wipe between A and B")
    divider.wait_for()
    assert page.evaluate("node.properties") == {"stag4d_clip": FRONT, "stag4d_clip_b": ABOVE}
    page.evaluate("node.onRemoved()")
    page.evaluate("node.onAdded()")  # as after a reload of the workflow
    divider.wait_for()
    widget.show(FRONT)
    divider.wait_for(state="hidden")
    assert page.evaluate("node.properties") == {"stag4d_clip": FRONT}
