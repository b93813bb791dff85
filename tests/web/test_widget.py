"""The widget of STAG4D Preview in a page that stands in for the host's: one node, and clips as files."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from counted_gl import COUNT_GL

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
    "window.asked.push(url); return fetch(url, options); } });",
    "scripts/app.js": "export const app = { extensionManager: { workflow: {} }, registerExtension(one) { "
    "window.extension = one; } };",
}
PAGE = """<!doctype html>
<html lang="en"><title>test</title><body><script type="module">
import { api } from "/scripts/api.js";
import "/extensions/pack/js/stag4d.js";
const node = {
  id: 7, properties: {}, widgets: [],
  graph: { id: "one", isRootGraph: true, get rootGraph() { return this; }, change() {} },
  addDOMWidget(name, type, element, { getValue, setValue }) {
    element.style.cssText += "; width: 400px; height: 500px";
    document.body.append(element);
    const widget = { name, get value() { return getValue(); }, set value(text) { setValue(text); } };
    this.widgets.push(widget);
    return widget;
  },
};
extension.getCustomWidgets().STAG4D_VIEW(node, "view");
extension.setup();
Object.assign(window, {
  node,
  asked: [],
  LiteGraph: {},
  ran: (filename) => node.onExecuted({ stag4d_clip: [{ filename }] }),
  grew: (detail) => api.dispatchEvent(new CustomEvent("stag4d.growing", { detail })),
});
node.onAdded();
</script></body></html>"""


FRONT, ABOVE = "a" * 32 + ".s4d", "b" * 32 + ".s4d"  # clips filmed from there
SPLATS = {FRONT: 1176, ABOVE: 1175}


@dataclass(frozen=True)
class Widget:
    """The widget on its page.

    Attributes:
        page: The page.
    """

    page: Page

    def show(self, name: str) -> None:
        """Let an execution put out a clip, and wait until the player has it."""
        self.page.evaluate("(name) => ran(name)", name)
        self.page.get_by_text(f"{SPLATS[name]:,} splats").wait_for()

    def grow(self, name: str, **told: Any) -> bool:
        """Tell the page of a growing scene, and return whether the widget asks for its clip."""
        self.page.evaluate("(detail) => grew(detail)", {"filename": name, **told})
        return self.page.evaluate("asked.at(-1)").count(name) == 1

    def view(self) -> dict[str, Any] | None:
        """Return the node's value."""
        text = self.page.evaluate("node.widgets[0].value")
        return json.loads(text) if text else None

    def chosen(self) -> list[str]:
        """Return which camera buttons are pressed."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        group = self.page.get_by_role("group", name="Cameras")
        return group.get_by_role("button", pressed=True).all_text_contents()

    def drag(self) -> None:
        """Orbit a little."""
        box = self.page.locator("canvas").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + 40, y, steps=4)
        self.page.mouse.up()


@contextmanager
def open_widget(browser: Browser, clips: dict[str, bytes], *, is_broken: bool = False) -> Iterator[Widget]:
    """Yield the widget, to which the host can send clips; a broken host has no file of the viewer."""

    def serve(route: Route) -> None:
        url = urllib.parse.urlparse(route.request.url)
        path = url.path.removeprefix("/")
        if path == "view":
            (name,) = urllib.parse.parse_qs(url.query)["filename"]
            route.fulfill(body=clips[name])
        elif path in SCRIPTS:
            route.fulfill(body=SCRIPTS[path], content_type="text/javascript")
        elif path.startswith("extensions/pack/"):
            name = path.removeprefix("extensions/pack/")
            is_there = not (is_broken and name.startswith("viewer/"))
            if is_there:
                route.fulfill(path=WEB / name, content_type="text/javascript")
            else:
                route.fulfill(status=404)
        else:
            route.fulfill(body=PAGE, content_type="text/html", status=404 if path else 200)

    context = browser.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script(f"({COUNT_GL})()")
    page.route(f"{SITE}/**", serve)
    page.goto(f"{SITE}/")
    yield Widget(page)
    context.close()
    assert errors == []


@pytest.fixture(scope="module")
def clips(box: GaussianModel4D) -> dict[str, bytes]:
    """The box, filmed from the front; and without a splat, from 25 degrees above."""
    less = box.gaussians.map(lambda value: value[: SPLATS[ABOVE]])
    pose = OrbitPose(azimuth_deg=0, elevation_deg=25)
    above = GaussianModel4D(less, box.deformation, replace(box.info, input_pose=pose))
    return {FRONT: encode_s4d(box), ABOVE: encode_s4d(above)}


@pytest.fixture
def widget(browser: Browser, clips: dict[str, bytes]) -> Iterator[Widget]:
    """The widget, which has no clip yet."""
    with open_widget(browser, clips) as widget:
        widget.page.get_by_text("Run the workflow to see the scene.").wait_for()
        yield widget


def test_until_a_view_is_chosen_every_clip_is_seen_from_its_own_input_camera(widget):
    for name in (FRONT, ABOVE):  # what the node puts out while its value is empty
        widget.show(name)
        assert widget.view() is None
        assert widget.chosen() == [""]
    widget.drag()
    turned = widget.view()
    assert turned["elevation"] == 25
    widget.show(FRONT)
    assert widget.view() == turned
    assert widget.chosen() == []


def test_stopping_the_clip_chooses_the_camera_that_is_seen(widget):
    widget.show(ABOVE)
    widget.page.get_by_role("button", name="Play (space)").click()
    widget.page.get_by_role("button", name="Pause (space)").click()
    stopped = widget.view()
    widget.show(FRONT)
    widget.drag()
    assert widget.view()["elevation"] == stopped["elevation"] == 25


def test_the_moment_is_that_of_the_last_stop_however_the_camera_moves_meanwhile(widget):
    widget.show(FRONT)
    widget.page.get_by_role("slider", name="Time").fill("3")
    assert widget.view()["time"] == 0.75
    widget.page.get_by_role("button", name="Play (space)").click()
    widget.page.get_by_text("2 / 5").wait_for()
    widget.drag()
    assert widget.view()["azimuth"] != 0
    assert widget.view()["time"] == 0.75
    widget.page.keyboard.press(".")
    assert widget.view()["time"] in (0, 0.25, 0.5, 0.75, 1)


def test_while_nothing_was_chosen_an_orbit_of_a_playing_clip_keeps_its_beginning(widget):
    widget.show(FRONT)
    widget.page.get_by_role("button", name="Play (space)").click()
    widget.page.get_by_text("3 / 5").wait_for()
    widget.drag()
    assert widget.view()["time"] == 0


@pytest.mark.parametrize(
    ("told", "is_shown"),
    [
        ({"viewers": ["7"], "workflow": "one"}, True),
        ({"viewers": ["7"], "workflow": "another"}, False),
        ({"viewers": ["8"], "workflow": "one"}, False),
        ({"viewers": ["7"], "workflow": None}, True),  # as from a script
    ],
)
def test_a_growing_scene_is_shown_by_its_node_in_its_workflow(widget, told, is_shown):
    widget.show(FRONT)
    assert widget.grow(ABOVE, **told) == is_shown


def test_a_graph_without_an_id_knows_its_node_alone(widget):
    widget.show(FRONT)
    widget.page.evaluate("delete node.graph.id")
    assert not widget.grow(ABOVE, viewers=["8"], workflow="one")
    assert widget.grow(ABOVE, viewers=["7"], workflow="one")


def test_a_viewer_that_cannot_be_loaded_says_so(browser, clips):
    with open_widget(browser, clips, is_broken=True) as widget:
        widget.page.get_by_text("The viewer could not be loaded; reload the page.").wait_for()
        widget.page.evaluate("(name) => ran(name)")
        widget.page.evaluate("node.onAdded()")  # it may be tried again
        widget.page.get_by_text("The viewer could not be loaded; reload the page.").wait_for()
        widget.page.evaluate("node.onRemoved()")


def test_a_clip_that_comes_while_the_context_is_lost_waits_for_it_and_says_so(widget):
    widget.page.evaluate("() => { window.loss = gl.getExtension('WEBGL_lose_context'); loss.loseContext(); }")
    widget.show(FRONT)
    status = widget.page.get_by_role("status")
    status.get_by_text("graphics driver was reset").wait_for()
    widget.page.evaluate("loss.restoreContext()")
    status.wait_for(state="hidden")
