"""Write docs/widget.jpg: a running ComfyUI's page with STAG4D Preview on it.

``PYTHONPATH=.:tests/support python tests/host/picture_widget.py http://127.0.0.1:8188``
"""

import io
import sys
from pathlib import Path

from chromium import chromium
from host_page import open_host_page
from PIL import Image

OUT = Path(__file__).parents[2] / "docs" / "widget.jpg"
SAMPLE = {"name": "quadruped", "seed": 2, "num_frames": 16, "size": 128}
FIT = {"preset": "fast", "steps": 600, "size": 128, "seed": 0}
SIZE = {"width": 1100, "height": 790}

with chromium() as browser, open_host_page(browser, sys.argv[1], vue_nodes=False, viewport=SIZE) as page:
    built = page.run("([s, f, w]) => build(s, f, w, w)", [SAMPLE, FIT, 512])
    page.run("(workflow) => app.loadGraphData(workflow)", built["workflow"])
    page.run("() => { app.canvas.ds.scale = 0.84; app.canvas.ds.offset = [45, 115]; }")
    page.execute()
    page.wait("isLit(viewers()[0])")
    page.drag(".stag4d-viewer canvas", (0.5, 0.5), (0.33, 0.58))
    page.drag(".stag4d-viewer input[type=range]", (0.02, 0.5), (0.45, 0.5))
    page.execute()
    page.run("app.canvas.deselectAll()")
    page.page.wait_for_timeout(15000)  # until the host's notice is gone
    picture = Image.open(io.BytesIO(page.page.screenshot())).convert("RGB")
picture.save(OUT, quality=85, optimize=True)
