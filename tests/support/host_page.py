"""ComfyUI's page in Chromium, with a graph that shows a scene in STAG4D Preview."""

from __future__ import annotations

import base64
import io
import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SECONDS = 240  # of anything that a test waits for
SAMPLE = {"name": "fish", "seed": 5, "num_frames": 4, "size": 48}
FIT = {"preset": "fast", "steps": 120, "size": 48, "seed": 11}
SIZE = 384  # of the cameras, pixels
SHOWS_SCENE = "showsScene(viewers()[0])"
SETTINGS = {
    "Comfy.TutorialCompleted": True,  # or a window with templates opens
    "Comfy.Workflow.Persist": False,
    "Comfy.Minimap.Visible": False,
    "Comfy.Graph.CanvasInfo": False,
    "Comfy.NodeBadge.NodeSourceBadgeMode": "None",
    "Comfy.Queue.ShowRunProgressBar": False,
}
HELPERS = """Object.assign(window, {
  viewers: () => [...document.querySelectorAll(".stag4d-viewer")],
  canvasOf: (viewer) => viewer.shadowRoot.querySelector("canvas"),
  messageOf: (viewer) => viewer.shadowRoot.querySelector(".message").textContent,
  rendered: () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
  node: (type) => app.graph.nodes.find((node) => node.type === type),
  view: () => node("STAG4DPreview").widgets.find(({name}) => name === "view").value,
  showsScene(viewer) {
    const canvas = viewer && canvasOf(viewer);
    if (!canvas || canvas.width < 16 || messageOf(viewer)) return false;
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return pixels.filter((_, index) => index % 4 === 3 && pixels[index] > 127).length > pixels.length / 400;
  },
  add(type, position, size, values) {
    const created = LiteGraph.createNode(type);
    app.graph.add(created);
    for (const [name, value] of Object.entries(values)) {
      const widget = created.widgets.find((widget) => widget.name === name);
      widget.value = value;
      widget.callback?.(value);
    }
    [created.pos, created.size] = [position, size];
    return created;
  },
  join(from, output, to, input) {
    from.connect(from.findOutputSlot(output), to, to.findInputSlot(input));
  },
  build(sample, fit, width, height) {
    app.graph.clear();
    const object = add("STAG4DSampleObject", [40, 60], [300, 200], sample);
    const scene = add("STAG4DOptimize", [40, 320], [300, 340], fit);
    const preview = add("STAG4DPreview", [400, 60], [460, 680], {width, height});
    const render = add("STAG4DRender", [920, 60], [300, 180], {time_mode: "freeze"});
    const images = add("PreviewImage", [920, 320], [300, 340], {});
    const toImage = add("MaskToImage", [1280, 60], [200, 40], {});
    const mask = add("PreviewImage", [1280, 320], [300, 340], {});
    join(object, "views", scene, "views");
    join(scene, "scene", preview, "scene");
    join(scene, "scene", render, "scene");
    join(preview, "cameras", render, "cameras");
    join(preview, "moment", render, "time_mode.moment");
    join(render, "images", images, "images");
    join(render, "mask", toImage, "mask");
    join(toImage, "IMAGE", mask, "images");
    return {workflow: app.graph.serialize(), mask: String(mask.id)};
  },
  executedTypes: [],
  numEnds: 0,
  listen() {
    const {api} = window.comfyAPI.api;
    const record = ({detail}) => detail && executedTypes.push(app.graph.getNodeById(detail).type);
    api.addEventListener("executing", record);
    api.addEventListener("executed", ({detail}) => (outputs[detail.node] = detail.output));
    const kinds = ["execution_success", "execution_error", "execution_interrupted"];
    for (const end of kinds) api.addEventListener(end, () => numEnds++);
  },
  outputs: {},
});"""


@dataclass(frozen=True)
class HostPage:
    """ComfyUI's page.

    Attributes:
        page: The page.
        url: Of the ComfyUI server.
    """

    page: Page
    url: str

    def run(self, script: str, value: Any = None) -> Any:
        """Return the value of a JavaScript expression or function, awaited if it is a promise."""
        return self.page.evaluate(script, value)

    def wait_for_app(self) -> None:
        """Wait until the page has every node type and a workflow."""
        names = "Object.keys(window.LiteGraph?.registered_node_types ?? {})"
        self.wait(f"window.app?.graph && {names}.length > 100")
        self.wait("app.extensionManager?.workflow?.activeWorkflow")
        self.run("listen()")

    def build_and_run(self) -> dict[str, Any]:
        """Fit and show a small scene; return its ``workflow`` and the id of the node with its ``mask``."""
        built = self.run("([s, f, w]) => build(s, f, w, w)", [SAMPLE, FIT, SIZE])
        self.run("(workflow) => app.loadGraphData(workflow)", built["workflow"])
        self.execute()
        self.wait(SHOWS_SCENE)
        return built

    def wait(self, condition: str) -> None:
        """Wait until a JavaScript expression is true."""
        self.page.wait_for_function(condition, timeout=1000 * SECONDS, polling=100)

    def execute(self) -> set[str]:
        """Run the workflow to its end and return the types of the nodes that were executed."""
        before = self.run("numEnds")
        self.run("() => { executedTypes.length = 0; app.queuePrompt(0, 1); }")
        self.wait(f"numEnds > {before}")
        return set(self.run("executedTypes"))

    @contextmanager
    def executing(self) -> Iterator[None]:
        """Start the workflow; at the end of the block check that it still runs, and interrupt it."""
        before = self.run("numEnds")
        self.run("() => { app.queuePrompt(0, 1); }")
        try:
            yield
            assert self.run("numEnds") == before
        finally:
            self.run("window.comfyAPI.api.api.interrupt()")
            self.wait(f"numEnds > {before}")

    def canvas(self) -> np.ndarray:
        """Return what the first viewer shows after the next frame, uint8 [H, W, 4]."""
        data = self.run("async () => { await rendered(); return canvasOf(viewers()[0]).toDataURL(); }")
        with Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))) as image:
            return np.array(image.convert("RGBA"))

    def wait_for_canvas(self, accept: Callable[[np.ndarray], bool]) -> None:
        """Wait until the first viewer shows an image that ``accept`` returns true for."""
        wait_until(lambda: accept(self.canvas()), seconds=SECONDS, what="an accepted image on the canvas")

    def output_image(self, node: str) -> np.ndarray:
        """Return the first image of a node's output, uint8 [H, W, 3]."""
        file = self.run("(node) => outputs[node].images[0]", node)
        query = urllib.parse.urlencode({key: file[key] for key in ("filename", "subfolder", "type")})
        with urllib.request.urlopen(f"{self.url}/view?{query}", timeout=SECONDS) as answer:
            return np.array(Image.open(io.BytesIO(answer.read())).convert("RGB"))

    def drag(self, element: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag the mouse in an element, between two points in fractions of its width and height."""
        target = self.page.locator(element).first
        target.hover(trial=True)  # waits until the element has stopped moving
        box = target.bounding_box()
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        self.page.mouse.move(*points[1], steps=4)
        self.page.mouse.up()


@contextmanager
def open_host_page(browser: Browser, url: str, *, vue_nodes: bool, **options: Any) -> Iterator[HostPage]:
    """Yield ComfyUI's page with classic or Vue nodes; fails at the end if this pack's files raised errors."""
    settings = json.dumps(SETTINGS | {"Comfy.VueNodes.Enabled": vue_nodes}).encode()
    request = urllib.request.Request(f"{url}/api/settings", settings, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=SECONDS):
        pass
    context = browser.new_context(**({"viewport": {"width": 1300, "height": 860}} | options))
    context.set_default_timeout(1000 * SECONDS)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(f"{error} {error.stack}"))
    page.add_init_script(HELPERS)
    page.goto(url)
    shown = HostPage(page, url)
    shown.wait_for_app()
    yield shown
    context.close()
    assert [error for error in errors if "stag4d" in error] == []
