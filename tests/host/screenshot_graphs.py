"""Write docs/widget.jpg and docs/graph.jpg: a running ComfyUI's page with a template on it, executed.

``PYTHONPATH=tests/support python tests/host/screenshot_graphs.py http://127.0.0.1:8188 [widget|graph]``
"""

import io
import json
import sys
from pathlib import Path

import host_page
from chromium import chromium
from host_page import SHOWS_SCENE, open_host_page
from PIL import Image

ROOT = Path(__file__).parents[2]
host_page.SECONDS = 1200  # of the unchanged template, beside a browser that renders without a GPU
SCREENSHOTS = {  # template, size of the page, zoom and offset of the graph
    "widget": (
        "03 Toy with ground-truth views in the viewer",
        {"width": 1480, "height": 780},
        0.82,
        [50, 95],
    ),
    "graph": ("01 Quick start", {"width": 1500, "height": 880}, 0.82, [85, 100]),
}

for name in sys.argv[2:] or SCREENSHOTS:
    template, size, scale, offset = SCREENSHOTS[name]
    workflow = json.loads((ROOT / "workflows" / f"{template}.json").read_text(encoding="utf-8"))
    with chromium() as browser, open_host_page(browser, sys.argv[1], vue_nodes=False, viewport=size) as page:
        page.run("(workflow) => app.loadGraphData(workflow)", workflow)
        page.run("([scale, offset]) => Object.assign(app.canvas.ds, {scale, offset})", [scale, offset])
        page.execute()
        page.wait(SHOWS_SCENE)
        page.drag(".stag4d-viewer canvas", (0.5, 0.5), (0.36, 0.6))
        page.drag(".stag4d-viewer input[type=range]", (0.02, 0.5), (0.4, 0.5))
        page.execute()
        page.run("app.canvas.deselectAll()")
        page.wait("!/Job (queued|completed)/.test(document.body.innerText)")  # ComfyUI's notification
        image = Image.open(io.BytesIO(page.page.screenshot())).convert("RGB")
    image.save(ROOT / "docs" / f"{name}.jpg", quality=85, optimize=True)
