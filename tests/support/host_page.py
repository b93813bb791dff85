"""The host's page in a browser, with a graph whose scene is watched in STAG4D Preview."""

from __future__ import annotations

import base64
import io
import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SECONDS = 240
SAMPLE = {"name": "fish", "seed": 5, "num_frames": 4, "size": 48}
FIT = {"preset": "fast", "steps": 120, "size": 48, "seed": 11}
SIZE = 384  # of the cameras, pixels
LIT = "isLit(viewers()[0])"
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
  pictureOf: (viewer) => viewer.shadowRoot.querySelector("canvas"),
  messageOf: (viewer) => viewer.shadowRoot.querySelector(".message").textContent,
  node: (type) => app.graph.nodes.find((one) => one.type === type),
  view: () => node("STAG4DPreview").widgets.find(({name}) => name === "view").value,
  isLit(viewer) {
    const canvas = viewer && pictureOf(viewer);
    if (!canvas || canvas.width < 16 || messageOf(viewer)) return false;
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return pixels.filter((_, index) => index % 4 === 3 && pixels[index] > 127).length > pixels.length / 400;
  },
  add(type, place, size, values) {
    const made = LiteGraph.createNode(type);
    app.graph.add(made);
    for (const [name, value] of Object.entries(values)) {
      const widget = made.widgets.find((one) => one.name === name);
      widget.value = value;
      widget.callback?.(value);
    }
    [made.pos, made.size] = [place, size];
    return made;
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
  ran: [],
  ends: 0,
  listen() {
    const {api} = window.comfyAPI.api;
    api.addEventListener("executing", ({detail}) => detail && ran.push(app.graph.getNodeById(detail).type));
    api.addEventListener("executed", ({detail}) => (outputs[detail.node] = detail.output));
    const kinds = ["execution_success", "execution_error", "execution_interrupted"];
    for (const end of kinds) api.addEventListener(end, () => ends++);
  },
  outputs: {},
});"""


@dataclass(frozen=True)
class HostPage:
    """The page of a host.

    Attributes:
        page: The page.
        url: Of the host.
    """

    page: Page
    url: str

    def run(self, script: str, value: Any = None) -> Any:
        """Return what a JavaScript expression or function gives."""
        return self.page.evaluate(script, value)

    def wait_for_app(self) -> None:
        """Return when the page can be used."""
        names = "Object.keys(window.LiteGraph?.registered_node_types ?? {})"
        self.wait(f"window.app?.graph && {names}.length > 100", SECONDS)
        self.wait("app.extensionManager?.workflow?.activeWorkflow", SECONDS)
        self.run("listen()")

    def build_and_run(self) -> dict[str, Any]:
        """Show a small scene; return the workflow, and as ``mask`` the node that shows the render's mask."""
        built = self.run("([s, f, w]) => build(s, f, w, w)", [SAMPLE, FIT, SIZE])
        self.run("(workflow) => app.loadGraphData(workflow)", built["workflow"])
        self.execute()
        self.wait(LIT)
        return built

    def wait(self, condition: str, seconds: float = 30) -> None:
        """Return when a JavaScript expression has become true."""
        self.page.wait_for_function(condition, timeout=1000 * seconds, polling=100)

    def execute(self) -> set[str]:
        """Press Run, wait for the end, and return the types of the nodes that ran."""
        before = self.run("ends")
        self.run("() => { ran.length = 0; app.queuePrompt(0, 1); }")
        self.wait(f"ends > {before}", SECONDS)
        return set(self.run("ran"))

    def picture(self, index: int = 0) -> np.ndarray:
        """Return what a viewer's canvas shows, uint8 [H, W, 4]."""
        data = self.run("(index) => pictureOf(viewers()[index]).toDataURL()", index)
        with Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))) as image:
            return np.array(image.convert("RGBA"))

    def image(self, node: str) -> np.ndarray:
        """Return the first image that a node has put out, uint8 [H, W, 3]."""
        file = self.run("(node) => outputs[node].images[0]", node)
        query = urllib.parse.urlencode({key: file[key] for key in ("filename", "subfolder", "type")})
        with urllib.request.urlopen(f"{self.url}/view?{query}", timeout=30) as answer:
            return np.array(Image.open(io.BytesIO(answer.read())).convert("RGB"))

    def drag(self, element: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag the mouse in an element, between two places in shares of its size."""
        box = self.page.locator(element).first.bounding_box()
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        self.page.mouse.move(*places[1], steps=4)
        self.page.mouse.up()


@contextmanager
def open_host_page(browser: Browser, url: str, *, vue_nodes: bool, **options: Any) -> Iterator[HostPage]:
    """Yield the host's page with nodes of one kind; raises what this pack's files do wrong in it."""
    settings = json.dumps(SETTINGS | {"Comfy.VueNodes.Enabled": vue_nodes}).encode()
    request = urllib.request.Request(f"{url}/api/settings", settings, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30):
        pass
    context = browser.new_context(**({"viewport": {"width": 1300, "height": 860}} | options))
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
