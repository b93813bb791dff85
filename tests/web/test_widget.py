"""The widget of STAG4D Preview on a page that imitates ComfyUI's: one node, and `.s4d` files to show."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
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
    "window.requests.push(url); return fetch(url, options); }, numPrompts: 0, "
    "apiURL: (path) => `/api${path}`, "
    "async queuePrompt() { return { prompt_id: String(++this.numPrompts) }; } });",
    "scripts/app.js": """
const openWorkflows = [{ path: "a" }, { path: "b" }];
const workflow = { openWorkflows, activeWorkflow: openWorkflows[0] };
export const app = {
  extensionManager: { workflow }, rootGraph: null,
  registerExtension(extension) { window.extension = extension; },
};""",
}
PAGE = """<!doctype html>
<html lang="en"><title>test</title><body><script type="module">
import { api } from "/scripts/api.js";
import { app } from "/scripts/app.js";
import "/extensions/pack/js/stag4d.js";
const graph = {
  id: "one", isRootGraph: true, nodes: [], stored: [], subgraphs: new Map(), numChanges: 0,
  change() { this.numChanges++; },
  setDirtyCanvas() {},
  getNodeById(id) { return this.nodes.find((node) => node.id === Number(id)) ?? null; },
  serialize() { return { id: this.id, nodes: this.stored, links: [] }; },
};
app.rootGraph = graph.rootGraph = graph;
function makeNode(id) {
  return Object.assign(Object.create({ constructor: { comfyClass: "STAG4DEvaluate" } }), {
    id, properties: {}, widgets: [], graph, size: [200, 100],
    computeSize: () => [200, 300],
    setSize(size) { this.size = size; },
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
  });
}
function add() {
  const node = makeNode(7);
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
function addResults() {
  const node = makeNode(8);
  extension.nodeCreated(node);
  graph.nodes.push(node);
  node.onAdded();
  document.body.append(node.widgets[0].element);
  return node;
}
const dispatch = (type, detail) => api.dispatchEvent(new CustomEvent(type, { detail }));
function executed(filename, second, prompt_id) {
  const output = {
    stag4d_clip: [{ filename }],
    ...(second && { stag4d_clip_b: [{ filename: second }] }),
  };
  node.onExecuted(output);
  dispatch("executed", { output, prompt_id });
}
async function configure(properties) {
  node.properties = properties;
  node.onConfigure();
  await null;
}
/** Change an input of the workflow; two nodes have it. */
function setInput(value) {
  graph.stored = [3, 4].map((id) => ({ id, type: "Fit", mode: 0, widgets_values: [value] }));
}
const { workflow } = app.extensionManager;
extension.setup();
Object.assign(window, {
  add,
  remove,
  requests: [],
  LiteGraph: {},
  addResults, configure, dispatch, executed, extension, graph, setInput,
  queue: () => api.queuePrompt(0, { output: {}, workflow: { ...graph.serialize(), links: [[1, 3, 0, 4]] } }),
  openTab: (index) => { workflow.activeWorkflow = workflow.openWorkflows[index]; },
  growing: (detail) => dispatch("stag4d.live_preview", detail),
});
add();
</script></body></html>"""


FRONT, ABOVE = (
    "a" * 32 + ".s4d",
    "b" * 32 + ".s4d",
)  # .s4d files; the input camera is in front, or 25 degrees above
NUM_SPLATS = {FRONT: 1176, ABOVE: 1175}
DAMAGED, GONE = "c" * 32 + ".s4d", "d" * 32 + ".s4d"
FIRST_SHOWN, SECOND_SHOWN = {"stag4d_clip": FRONT}, {"stag4d_clip": FRONT, "stag4d_clip_b": ABOVE}
NO_FILE = "Run the workflow to see the scene."


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
            route.fulfill(body=files.get(name, b""), status=200 if name in files else 404)
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
    return {FRONT: encode_s4d(box), ABOVE: encode_s4d(above), DAMAGED: b"S4D"}


@pytest.fixture
def widget(browser: Browser, files: dict[str, bytes]) -> Iterator[Widget]:
    """The widget, which shows no file yet."""
    with open_widget(browser, files) as widget:
        widget.page.get_by_text(NO_FILE).wait_for()
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
    assert page.evaluate("node.properties") == SECOND_SHOWN
    page.evaluate("remove()")
    page.evaluate("(properties) => { add(); node.properties = properties; }", SECOND_SHOWN)
    divider.wait_for()  # as after a reload of the workflow
    widget.show(FRONT)
    divider.wait_for(state="hidden")
    assert page.evaluate("node.properties") == {"stag4d_clip": FRONT}


@pytest.mark.parametrize("second", [GONE, DAMAGED])
def test_second_file_that_cannot_be_shown_ends_the_comparison(widget, second):
    page = widget.page
    divider = page.get_by_role("slider", name="Wipe between A and B")
    for name in (ABOVE, second, ABOVE):
        with page.expect_console_message() if name == second else nullcontext() as warning:
            page.evaluate("([a, b]) => executed(a, b)", [FRONT, name])
        divider.wait_for(state="hidden" if name == second else "visible")
        assert name != second or warning.value.text


def test_run_that_changes_only_the_second_file_is_recorded_and_remembered(widget):
    page = widget.page
    for value, second in ((1, FRONT), (2, ABOVE)):
        page.evaluate("([value, a, b]) => { setInput(value); executed(a, b); }", [value, FRONT, second])
        page.wait_for_function("(b) => node.properties.stag4d_clip_b === b", arg=second)
    assert page.evaluate("graph.numChanges") == 2
    for value, second in ((1, FRONT), (2, ABOVE)):  # the workflow stores neither
        page.evaluate("(value) => { setInput(value); return configure({}); }", value)
        assert page.evaluate("node.properties") == {"stag4d_clip": FRONT, "stag4d_clip_b": second}


def test_result_belongs_to_the_inputs_of_its_prompt(widget):
    page = widget.page
    for value in (1, 2):
        page.evaluate("(value) => { setInput(value); return queue(); }", value)
    page.evaluate("setInput(3)")  # as after a run with a seed that is incremented
    for prompt, name in (("1", FRONT), ("2", ABOVE)):
        page.evaluate("([name, prompt]) => executed(name, null, prompt)", [name, prompt])
        page.wait_for_function("(name) => node.properties.stag4d_clip === name", arg=name)
    for value, properties in ((1, {"stag4d_clip": FRONT}), (2, {"stag4d_clip": ABOVE}), (3, {})):
        page.evaluate("(value) => { setInput(value); return configure({}); }", value)
        assert page.evaluate("node.properties") == properties


def test_order_of_the_nodes_is_no_input(widget):
    page = widget.page
    page.evaluate("(name) => { setInput(1); executed(name); }", FRONT)
    page.wait_for_function("node.properties.stag4d_clip")
    page.evaluate("() => { graph.stored.reverse(); return configure({}); }")  # as after a click on a node
    assert page.evaluate("node.properties") == FIRST_SHOWN


def test_results_of_the_last_20_inputs_are_remembered(widget):
    page = widget.page
    page.evaluate(
        "async (name) => { for (let value = 0; value < 25; value++) "
        "{ setInput(value); executed(name); await null; await null; } }",
        FRONT,
    )
    for value, properties in ((24, FIRST_SHOWN), (5, FIRST_SHOWN), (4, {})):
        page.evaluate("(value) => { setInput(value); return configure({}); }", value)
        assert page.evaluate("node.properties") == properties
    assert page.evaluate("Object.values(sessionStorage).join().length") < 4000


def test_undo_to_before_the_first_run_shows_no_scene(widget):
    page = widget.page
    page.evaluate("setInput(1)")
    widget.show(FRONT)
    page.evaluate("() => { setInput(0); return configure({}); }")
    page.get_by_text(NO_FILE).wait_for()
    page.evaluate("() => { setInput(1); return configure({}); }")
    page.get_by_text(NO_FILE).wait_for(state="hidden")


def test_results_and_live_previews_of_another_tab_with_the_same_graph_are_ignored(widget):
    page = widget.page
    page.evaluate("() => { openTab(1); return queue(); }")
    page.evaluate("() => { openTab(0); dispatch('execution_start', { prompt_id: '1' }); }")
    assert not page.evaluate("requests.length")
    page.evaluate("(detail) => growing(detail)", {"filename": ABOVE, "viewers": ["7"], "workflow": "one"})
    page.evaluate("(name) => executed(name, null, '1')", ABOVE)
    page.evaluate(
        "(name) => extension.onNodeOutputsUpdated({ 7: { stag4d_clip: [{ filename: name }] } })", ABOVE
    )
    page.evaluate("async () => { await null; }")
    assert not page.evaluate("requests.length")
    assert page.evaluate("node.properties") == {}
    page.evaluate("openTab(1)")
    page.evaluate(
        "(name) => extension.onNodeOutputsUpdated({ 7: { stag4d_clip: [{ filename: name }] } })", ABOVE
    )
    page.get_by_text(f"{NUM_SPLATS[ABOVE]:,} splats").wait_for()


def test_live_preview_is_shown_by_its_node_in_a_subgraph(widget):
    widget.show(FRONT)
    widget.page.evaluate(
        """() => {
          const inner = { ...graph, id: "inner", isRootGraph: false, nodes: [node] };
          graph.subgraphs.set("inner", inner);
          graph.nodes = [{ id: 12, subgraph: inner }];
          node.graph = inner;
        }"""
    )
    assert not widget.requests_preview(ABOVE, viewers=["7"], workflow="one")
    assert not widget.requests_preview(ABOVE, viewers=["13:7"], workflow="one")
    assert widget.requests_preview(ABOVE, viewers=["12:7"], workflow="one")


@pytest.fixture
def results(widget: Widget) -> Page:
    """A page with the widget that shows what a run has given, as ``results``."""
    widget.page.evaluate("() => { window.results = addResults(); }")
    widget.page.evaluate("results.onExecuted({ text: ['PSNR 30', 'PSNR 40'] })")
    widget.page.get_by_role("region", name="Results").wait_for()
    return widget.page


def test_texts_of_all_runs_on_a_list_are_shown(results):
    assert results.get_by_role("region", name="Results").text_content() == "PSNR 30\nPSNR 40"


def test_warnings_stand_above_links_to_files_of_the_output_and_temp_folders(results):
    files = [
        {"filename": "fit_report_1.html", "subfolder": "stag4d", "type": "temp"},
        {"filename": "a.ply", "subfolder": "cat", "type": "output"},
        {"filename": "secret.txt", "subfolder": "", "type": "input"},
    ]
    sentence = "view 2 (azimuth 150, elevation 30): " + "far below " * 20
    output = {"stag4d_files": files, "stag4d_warnings": [sentence, 3], "text": ["not shown"]}
    results.evaluate("(output) => results.onExecuted(output)", output)
    results.get_by_role("link").first.wait_for()
    text = results.get_by_role("region", name="Results")
    assert text.text_content() == f"{sentence}\nfit_report_1.html\ncat/a.ply"
    assert results.get_by_role("link").evaluate_all("(links) => links.map(({ search }) => search)") == [
        "?filename=fit_report_1.html&subfolder=stag4d&type=temp",
        "?filename=a.ply&subfolder=cat&type=output",
    ]
    assert text.evaluate("(element) => element.scrollWidth <= element.clientWidth")  # it is wrapped


def test_larger_node_is_recorded_as_part_of_the_result(results):
    assert results.evaluate("results.size[1]") == 300
    assert results.evaluate("graph.numChanges") == 1
    results.evaluate("results.onExecuted({ text: ['PSNR 50'] })")
    results.get_by_text("PSNR 50").wait_for()
    assert results.evaluate("graph.numChanges") == 1


def test_keys_in_results_change_no_nodes_and_links_have_their_menu(results):
    results.evaluate(
        "() => { window.heard = []; addEventListener('keydown', ({ key }) => heard.push(key)); }"
    )
    text = results.get_by_role("region", name="Results")
    for key in ("Delete", "Backspace", "Control+a", "Control+Enter"):
        text.press(key)
    assert results.evaluate("heard") == ["Control", "Control", "Enter"]
    assert results.evaluate("String(getSelection())") == "PSNR 30\nPSNR 40"
    dispatch = (
        "(element) => element.dispatchEvent(new Event('contextmenu', {bubbles: true, cancelable: true}))"
    )
    assert text.evaluate(dispatch)  # not prevented
    assert not results.locator(".stag4d-viewer").evaluate(dispatch)  # there the right button pans


def test_copied_is_announced_for_a_moment(results, widget):
    results.evaluate("navigator.clipboard ? navigator.clipboard.writeText = async () => {} : 0")
    results.get_by_role("button", name="Copy", exact=True).click()
    status = results.get_by_role("status").get_by_text("Copied")
    status.wait_for()
    widget.advance(2100)
    status.wait_for(state="hidden")
