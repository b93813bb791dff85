"""Write docs/widget.jpg: a running ComfyUI's page with the template sample_to_viewer on it.

``PYTHONPATH=tests/support python tests/host/picture_widget.py http://127.0.0.1:8188``
"""

import io
import json
import sys
from pathlib import Path

from chromium import chromium
from host_page import LIT, open_host_page
from PIL import Image

ROOT = Path(__file__).parents[2]
SIZE = {"width": 1180, "height": 780}

workflow = json.loads((ROOT / "workflows" / "sample_to_viewer.json").read_text(encoding="utf-8"))
with chromium() as browser, open_host_page(browser, sys.argv[1], vue_nodes=False, viewport=SIZE) as page:
    page.run("(workflow) => app.loadGraphData(workflow)", workflow)
    page.run("() => { app.canvas.ds.scale = 0.82; app.canvas.ds.offset = [50, 95]; }")
    page.execute()
    page.wait(LIT)
    page.drag(".stag4d-viewer canvas", (0.5, 0.5), (0.36, 0.6))
    page.drag(".stag4d-viewer input[type=range]", (0.02, 0.5), (0.4, 0.5))
    page.execute()
    page.run("app.canvas.deselectAll()")
    page.page.wait_for_timeout(15000)  # until the host's notice is gone
    picture = Image.open(io.BytesIO(page.page.screenshot())).convert("RGB")
picture.save(ROOT / "docs" / "widget.jpg", quality=85, optimize=True)
